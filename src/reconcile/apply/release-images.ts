import type { Logger } from 'pino';

import { WriteDeniedError } from '../../errors.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { WorkloadClient } from '../ports.ts';

/** Best effort: as long as the images belong to us, a later apply of somebody else meets a conflict. */
export async function releaseImages(
  {
    client,
    log,
  }: { readonly client: Pick<WorkloadClient, 'releaseImages'>; readonly log: Pick<Logger, 'warn'> },
  workload: Workload,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.releaseImages(workload, signal);
  } catch (err) {
    if (!(err instanceof WriteDeniedError)) {
      throw err;
    }
    log.warn({ err }, 'images not given back to their field manager');
  }
}
