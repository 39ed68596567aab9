/** How long a registry is left alone that says 429 and not until when. */
const UNSAID_MS = 60_000;
/** No registry can switch itself off for longer than this. */
const LONGEST_MS = 24 * 60 * 60_000;

/** Wall-clock time before which the registry asked to be left alone. Reads seconds and HTTP dates. */
export function parseRetryAfterMs(header: string | undefined, nowMs: number): number {
  const waitMs = parseWaitMs(header?.trim() ?? '', nowMs) ?? UNSAID_MS;
  return nowMs + Math.min(Math.max(waitMs, 0), LONGEST_MS);
}

function parseWaitMs(header: string, nowMs: number): number | undefined {
  if (/^\d+$/.test(header)) {
    return Number(header) * 1_000;
  }
  const atMs = /^[a-z]{3,9}, /i.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : atMs - nowMs;
}
