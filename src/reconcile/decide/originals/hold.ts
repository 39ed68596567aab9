const FIRST_MS = 3_600_000;
export const LONGEST_HOLD_MS = 24 * 3_600_000;

/** How long a workload is left alone after so many failed swaps of the same images: an hour, then twice as long. */
export function planHoldMs(failures: number): number {
  return Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_HOLD_MS);
}
