import { formatRecord } from '../../../src/workloads/record.ts';
import { followObjects } from '../../support/follow.ts';
import { type Kube, referenceTo } from '../../support/kube.ts';
import type { Workload } from '../../support/objects.ts';
import type { SampleImage } from '../../support/seed-images.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aDeployment, isRolledOut } from '../../support/workload-builders.ts';
import { forEach } from '../laboratory.ts';
import { plainCopyOf } from '../plain-copies.ts';

export const WORKLOADS = 500;
export const NAMESPACES = Array.from({ length: 10 }, (_, index) => `bench-${index}`);
const DEADLINE_MS = 600_000;
/** Requests in flight of the plain client. */
const PLAIN_CONCURRENCY = 32;

/** Deployments of one replica. An image is used by several, each in another namespace. */
export function planWorkloads(sourceHost: string, images: readonly SampleImage[]): readonly Workload[] {
  return Array.from({ length: WORKLOADS }, (_, index) => {
    const namespace = NAMESPACES[Math.floor((index * NAMESPACES.length) / WORKLOADS)] ?? '';
    return aDeployment({
      namespace,
      name: `web-${index}`,
      images: [imageOf(index, images, ({ repository, tag }) => `${sourceHost}/${repository}:${tag}`)],
    });
  });
}

function imageOf(
  index: number,
  images: readonly SampleImage[],
  name: (image: SampleImage) => string,
): string {
  return images.flatMap((image, at) => (at === index % images.length ? [name(image)] : []))[0] ?? '';
}

/** What one controller patches of a workload, by a client that does nothing else. */
export async function patchPlainly(
  kube: Kube,
  {
    workloads,
    backupHost,
    images,
  }: {
    readonly workloads: readonly Workload[];
    readonly backupHost: string;
    readonly images: readonly SampleImage[];
  },
): Promise<void> {
  const indexes = workloads.map((workload, index) => ({ workload, index }));
  await forEach(
    indexes,
    async ({ workload, index }) => {
      const original = workload.spec.template.spec.containers[0]?.image ?? '';
      const image = imageOf(index, images, (sample) => plainCopyOf(backupHost, sample));
      const annotations = formatRecord({
        originals: new Map([['main', original]]),
        copies: new Map([['main', image]]),
        before: new Map(),
        swappedAtMs: Date.now(),
      });
      const spec = { template: { spec: { containers: [{ name: 'main', image }] } } };
      const options = { type: 'strategic', fieldManager: 'plain-client' } as const;
      await kube.patch(referenceTo(workload), { metadata: { annotations }, spec }, options);
    },
    PLAIN_CONCURRENCY,
  );
}

/** When one workload was seen with an image of that host, and when it was rolled out with it. */
export interface RolloutTime {
  readonly patchedAtMs: number;
  readonly doneAtMs: number;
}

export interface RolloutWatch {
  /** Of those that are done. */
  readonly times: readonly RolloutTime[];
  /** Returns once all are rolled out with an image of that host. */
  all(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Times are those at which a watch was told, by the clock of this machine. */
export function watchRollouts(kube: Kube, host: string): RolloutWatch {
  const patched = new Map<string, number>();
  const done = new Map<string, RolloutTime>();
  const onObject = (workload: Workload): void => {
    const { namespace = '', name } = workload.metadata;
    const image = workload.spec.template.spec.containers[0]?.image ?? '';
    if (!NAMESPACES.includes(namespace) || !image.startsWith(`${host}/`) || done.has(name)) {
      return;
    }
    const nowMs = Date.now();
    const patchedAtMs = patched.get(name) ?? nowMs;
    patched.set(name, patchedAtMs);
    if (isRolledOut(workload)) {
      done.set(name, { patchedAtMs, doneAtMs: nowMs });
    }
  };
  const following = new AbortController();
  const query = { apiVersion: 'apps/v1', kind: 'Deployment' };
  const followed = followObjects({ kube, query }, { onObject, onGone: () => undefined }, following.signal);
  return {
    get times() {
      return [...done.values()];
    },
    async all(signal) {
      const what = `${WORKLOADS} workloads to be rolled out from ${host}`;
      await waitFor(() => done.size === WORKLOADS, { what, deadlineMs: DEADLINE_MS, signal });
    },
    async stop() {
      following.abort();
      await followed;
    },
  };
}
