/**
 * Puts an entry at the end of a map, and forgets the first one of more than `most`: for what is remembered by names of which
 * anybody may think up any number.
 */
export function keepNewest<Key, Value>(
  map: Map<Key, Value>,
  [key, value]: readonly [key: Key, value: Value],
  most: number,
): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) {
      return;
    }
    map.delete(oldest);
  }
}
