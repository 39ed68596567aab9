import { wait } from '../../clock.ts';
import type { LeaseStore } from '../../kubernetes/election/lease.ts';

/**
 * Who holds the Lease and renews it, seen with one's own eyes: the times in it are of another clock. Takes a renewal to
 * find out, or, when the holder is dead, as long as the Lease lasts.
 */
export async function findActiveHolder(
  { leases, pollMs }: { readonly leases: Pick<LeaseStore, 'get'>; readonly pollMs: number },
  signal: AbortSignal,
): Promise<string | undefined> {
  const first = await leases.get(signal);
  if (!first?.record.holderIdentity) {
    return undefined;
  }
  const longestMs = first.record.leaseDurationSeconds * 1000;
  for (let waitedMs = 0; waitedMs <= longestMs && !signal.aborted; waitedMs += pollMs) {
    await wait(pollMs, signal);
    const now = await leases.get(signal);
    if (now?.fingerprint !== first.fingerprint) {
      return now?.record.holderIdentity || undefined;
    }
  }
  return undefined;
}
