import type { Pod } from '../../workloads/workload.ts';
import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** Of what kubelet and scheduler say, who quote texts of others. */
const LONGEST_MESSAGE = 1_000;

function findCondition(status: JsonObject, type: string): JsonObject {
  return asObject(asArray(status['conditions']).find((item) => asObject(item)['type'] === type));
}

/** The message of a condition that is not met. */
function readMessage({ message, reason }: JsonObject): string {
  return cutText(asText(message) ?? asText(reason) ?? '', LONGEST_MESSAGE);
}

function readTimeMs({ lastTransitionTime }: JsonObject): number {
  return Date.parse(asText(lastTransitionTime) ?? '') || 0;
}

/** Since when a pod has its node, and why it does not serve there. */
export function projectProgress(
  status: JsonObject,
): Pick<Pod, 'scheduledAtMs' | 'unscheduled' | 'unready' | 'unreadySinceMs'> {
  const [scheduled, ready] = [findCondition(status, 'PodScheduled'), findCondition(status, 'Ready')];
  return {
    ...(scheduled['status'] === 'True' && { scheduledAtMs: readTimeMs(scheduled) }),
    ...(scheduled['status'] === 'False' && { unscheduled: readMessage(scheduled) }),
    // Unknown while the node does not answer.
    ...(['False', 'Unknown'].includes(asText(ready['status']) ?? '') && {
      unready: readMessage(ready),
      unreadySinceMs: readTimeMs(ready),
    }),
  };
}

/** One that is on its way out stays ready for a while; one that has ended stays until somebody cleans up. */
export function isLeaving(metadata: JsonObject, { phase }: JsonObject): boolean {
  return (
    (metadata['deletionTimestamp'] ?? undefined) !== undefined || phase === 'Failed' || phase === 'Succeeded'
  );
}

/** Whether it serves. */
export function isReady(metadata: JsonObject, status: JsonObject): boolean {
  return !isLeaving(metadata, status) && findCondition(status, 'Ready')['status'] === 'True';
}
