import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How many bytes of heap are kept for what a function makes, as long as that is held. */
export function measureKeptBytes(make: () => unknown): number {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const kept = [make()];
  collectGarbage();
  const keptBytes = process.memoryUsage().heapUsed - before;
  // Held until here, or it would be garbage as well.
  kept.pop();
  return keptBytes;
}
