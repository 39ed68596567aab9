import type { Kube } from './kube.ts';
import type { Workload } from './objects.ts';
import { listLivingPods } from './rollout.ts';

/** Of every pod of a workload, ready or not, the text of its image. */
export async function listPodImages(kube: Kube, workload: Workload): Promise<readonly string[]> {
  const pods = await listLivingPods(kube, workload);
  return pods.flatMap(({ spec }) => spec.containers.map(({ image }) => image));
}

/** The digest that the runtime reports for each pod of a workload, sorted. */
export async function listRunningDigests(kube: Kube, workload: Workload): Promise<readonly string[]> {
  const pods = await listLivingPods(kube, workload);
  const statuses = pods.flatMap(({ status }) => status?.containerStatuses ?? []);
  return statuses.map(({ imageID }) => imageID.slice(imageID.indexOf('@') + 1)).toSorted();
}
