import { toLeftAlone } from '../../workloads/too-large.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { NamespaceShare } from '../reflector/object-set.ts';

/** What a workload and each of its images take besides their texts: what is known of its copies, events, pods. */
const WORKLOAD_BYTES = 1_024;
const SLOT_BYTES = 1_536;
/** Of a character, at most. */
const CHARACTER_BYTES = 2;

/** Room for about 2,000 workloads of one kind with two images each, of which Kubernetes is made for no more in a namespace. */
const MOST_BYTES = 16 * 1_024 * 1_024;

/** How many bytes the controller keeps for the sake of a workload; rather too many than too few. */
function weighWorkload(workload: Workload): number {
  const texts = JSON.stringify(workload).length * CHARACTER_BYTES;
  return WORKLOAD_BYTES + workload.slots.length * SLOT_BYTES + texts;
}

/** How much of the workloads of one kind in one namespace is kept. */
export const WORKLOAD_SHARE: NamespaceShare<Workload> = {
  weigh: weighWorkload,
  mostBytes: MOST_BYTES,
  reduce: (workload) => {
    const { kind, namespace, tooLarge } = workload;
    const why =
      `the objects of kind ${kind} in the namespace ${namespace} take more than the ` +
      `${MOST_BYTES / 1_024 / 1_024} MiB of memory that they may take here`;
    return toLeftAlone(workload, tooLarge ?? why);
  },
};
