import { TooLargeError } from '../../errors.ts';
import { toLeftAlone } from '../../workloads/too-large.ts';
import type { Workload } from '../../workloads/workload.ts';

/** Looks at a workload; if what has to be read about it is too large, then at what is known of one that is left alone. */
export async function leaveIfTooLarge<T>(
  workload: Workload,
  look: (workload: Workload) => Promise<T>,
): Promise<T> {
  try {
    return await look(workload);
  } catch (error) {
    if (!(error instanceof TooLargeError)) {
      throw error;
    }
    return look(toLeftAlone(workload, error.message));
  }
}
