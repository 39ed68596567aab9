import type { NamespaceShare } from '../reflector/object-set.ts';
import type { WatchedPod } from './pod-index.ts';

/** What a pod and each of its containers take besides their texts. */
const POD_BYTES = 600;
const CONTAINER_BYTES = 150;
/** Of a character, at most. */
const CHARACTER_BYTES = 2;

/** Room for some 10,000 pods of one container. Those of which there are more are listed when they are needed. */
const MOST_BYTES = 16 * 1_024 * 1_024;

/** Rather too much than too little: what pods say alike is kept once. */
function weighPod(pod: WatchedPod): number {
  const texts = JSON.stringify(pod).length * CHARACTER_BYTES;
  return POD_BYTES + pod.containers.length * CONTAINER_BYTES + texts;
}

/** How much of the pods of one namespace is kept. */
export const POD_SHARE: NamespaceShare<WatchedPod> = { weigh: weighPod, mostBytes: MOST_BYTES };
