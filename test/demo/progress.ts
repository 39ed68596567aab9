import type { Kube } from '../support/kube.ts';
import { referenceTo } from '../support/kube.ts';
import type { Pod, Workload } from '../support/objects.ts';
import type { RegistryConnection } from '../support/registry.ts';
import { listPods } from '../support/rollout.ts';
import { findDigest } from '../support/seed-images.ts';
import { EXCLUDED_NAMESPACE } from './workloads.ts';

/** How far the backup of one image of one workload is, as the API server and the registries show it. */
export type Stage = 'left alone' | 'waiting' | 'copied' | 'swapped' | 'running';

export interface SlotProgress {
  readonly workload: string;
  readonly slot: string;
  readonly from: string;
  readonly to: string;
  readonly digest: string;
  readonly stage: Stage;
  /** Ready pods that run the image that the template names now, of all pods. */
  readonly pods: string;
}

export interface ProgressDeps {
  readonly kube: Kube;
  readonly backup: RegistryConnection;
  /** `host/path` below which the copies are. */
  readonly prefix: string;
  /** Digest of every source image, by its reference. */
  readonly digests: ReadonlyMap<string, string>;
}

interface SlotFacts {
  readonly workload: Workload;
  readonly name: string;
  readonly original: string;
  readonly pods: readonly Pod[];
}

/** `PREFIX/<host>_<port>/<repository>`, and the digest: what the demo expects to end up in the template. */
function expectedCopy(
  deps: ProgressDeps,
  original: string,
): { repository: string; text: string; digest: string } {
  const digest = deps.digests.get(original) ?? '';
  const copy = `${deps.prefix}/${original.replace(':', '_')}`;
  const repository = copy.slice(copy.indexOf('/') + 1, copy.lastIndexOf(':'));
  return { repository, text: `${copy}@${digest}`, digest };
}

function imagesOf({ spec }: Workload): ReadonlyMap<string, string> {
  const { containers, initContainers = [] } = spec.template.spec;
  return new Map([...initContainers, ...containers].map(({ name, image }) => [name, image]));
}

/** Whether a Ready pod runs exactly this image in this slot; what an init container ran counts as well. */
function isRunning({ status, spec }: Pod, slot: { name: string; image: string; digest: string }): boolean {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const isReady = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
  return (
    isReady === true &&
    containers.some(({ name, image }) => name === slot.name && image === slot.image) &&
    statuses.some(({ name, imageID }) => name === slot.name && imageID.endsWith(`@${slot.digest}`))
  );
}

async function readSlot(deps: ProgressDeps, facts: SlotFacts): Promise<SlotProgress> {
  const { workload, name, original, pods } = facts;
  const { namespace = '', name: workloadName } = workload.metadata;
  const copy = expectedCopy(deps, original);
  const image = imagesOf(workload).get(name) ?? '';
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const running = alive.filter((pod) => isRunning(pod, { name, image, digest: copy.digest }));
  const isBackedUp =
    (await findDigest(deps.backup, { repository: copy.repository, tag: copy.digest })) === copy.digest;
  return {
    workload: `${namespace}/${workloadName}`,
    slot: name,
    from: original,
    to: copy.text,
    digest: copy.digest,
    stage: findStage({
      namespace,
      isBackedUp,
      isSwapped: image === copy.text,
      isRunning: running.length === alive.length && alive.length > 0,
    }),
    pods: `${running.length}/${alive.length}`,
  };
}

function findStage(slot: {
  namespace: string;
  isBackedUp: boolean;
  isSwapped: boolean;
  isRunning: boolean;
}): Stage {
  if (slot.namespace === EXCLUDED_NAMESPACE) {
    return 'left alone';
  }
  if (!slot.isBackedUp) {
    return 'waiting';
  }
  if (!slot.isSwapped) {
    return 'copied';
  }
  return slot.isRunning ? 'running' : 'swapped';
}

/** One row for every slot of every workload, as things stand now. */
export async function readProgress(
  deps: ProgressDeps,
  workloads: readonly Workload[],
): Promise<readonly SlotProgress[]> {
  const rows = workloads.map(async (created) => {
    const workload = await deps.kube.get<Workload>(referenceTo(created));
    if (!workload) {
      return [];
    }
    const pods = await listPods(deps.kube, workload);
    const slots = [...imagesOf(created)];
    return Promise.all(slots.map(([name, original]) => readSlot(deps, { workload, name, original, pods })));
  });
  return (await Promise.all(rows)).flat();
}
