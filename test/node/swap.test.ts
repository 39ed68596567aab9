/** What a swap does to pods that really run: rollouts in every strategy, and the digests that containerd reports. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { followObjects } from '../support/follow.ts';
import { withProbe } from '../support/node/serving.ts';
import { NODE_IMAGES, pushNodeImage } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import type { Workload } from '../support/objects.ts';
import { createAndRollOut, listLivingPods } from '../support/rollout.ts';
import { listRunningDigests } from '../support/running-images.ts';
import type { PushedImage } from '../support/seed-images.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, backup, images, node, nodeProgram } = cluster;
const PREFIX = `${backup.host}/swap`;

let controller: Controller;
let namespace: string;

beforeAll(async () => {
  namespace = await cluster.createNamespace();
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    SOURCE_HOSTS: source.host,
    REQUEUE_AFTER: '1s',
    MAX_CONCURRENT_ROLLOUTS: '10',
  });
  controller = await startController(cluster, { name: 'swap', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

const copyTo = (image: PushedImage): string => copyOf(image, PREFIX);

/** With more in its spec; returns when it runs and answers. */
async function createWorkload(workload: Workload, spec: object = {}): Promise<Workload> {
  const probed = withProbe(workload);
  return createAndRollOut(kube, { ...probed, spec: { ...probed.spec, ...spec } });
}

interface Range {
  least: number;
  most: number;
}

/**
 * The fewest available and the most wished pods that the Deployment has had, from now until the signal aborts. Wished,
 * because one ReplicaSet may start its new pod a moment before the other ends the pod that it has to.
 */
function watchPodCounts({ metadata }: Workload, signal: AbortSignal): Range {
  const range = { least: Number.POSITIVE_INFINITY, most: 0 };
  const follow = (kind: string, onObject: (object: Workload) => void): void => {
    const query = { apiVersion: 'apps/v1', kind, namespace };
    void followObjects<Workload>({ kube, query }, { onObject, onGone: () => undefined }, signal);
  };

  follow('Deployment', (deployment) => {
    if (deployment.metadata.uid === metadata.uid) {
      range.least = Math.min(range.least, deployment.status?.availableReplicas ?? 0);
    }
  });
  const wished = new Map<string | undefined, number>();
  follow('ReplicaSet', (replicaSet) => {
    if (replicaSet.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid)) {
      wished.set(replicaSet.metadata.uid, replicaSet.spec.replicas ?? 0);
      const inAll = [...wished.values()].reduce((sum, replicas) => sum + replicas, 0);
      range.most = Math.max(range.most, inAll);
    }
  });
  return range;
}

describe('a Deployment of three', () => {
  it.each([
    ['one more, none less', { maxSurge: 1, maxUnavailable: 0 }, { least: 3, most: 4 }],
    ['none more, one less', { maxSurge: 0, maxUnavailable: 1 }, { least: 2, most: 3 }],
    ['all at once', { maxSurge: '100%', maxUnavailable: '100%' }, { least: 0, most: 6 }],
  ])('runs from the backup after a rolling update with %s', async (what, rollingUpdate, limits) => {
    const created = await createWorkload(
      aDeployment({
        namespace,
        name: what.replaceAll(/\W+/g, '-'),
        images: [images.web.reference],
        replicas: 3,
      }),
      { strategy: { type: 'RollingUpdate', rollingUpdate } },
    );
    const watching = new AbortController();
    const range = watchPodCounts(created, watching.signal);
    const swapped = await waitForImages(kube, created, [copyTo(images.web)]);
    watching.abort();
    expect(range.least).toBeGreaterThanOrEqual(limits.least);
    expect(range.most).toBeLessThanOrEqual(limits.most);
    expect(await listRunningDigests(kube, swapped)).toEqual(
      Array.from({ length: 3 }, () => images.web.digest),
    );
  });

  it('runs from the backup after it was recreated', async () => {
    const created = await createWorkload(
      aDeployment({ namespace, name: 'recreate', images: [images.dockerWeb.reference], replicas: 3 }),
      { strategy: { type: 'Recreate' } },
    );
    const swapped = await waitForImages(kube, created, [copyTo(images.dockerWeb)]);
    expect(await listRunningDigests(kube, swapped)).toEqual(
      Array.from({ length: 3 }, () => images.dockerWeb.digest),
    );
  });
});

describe('a DaemonSet', () => {
  it('runs from the backup after a rolling update', async () => {
    const created = await createWorkload(
      aDaemonSet({ namespace, name: 'rolling', images: [images.single.reference] }),
    );
    const swapped = await waitForImages(kube, created, [copyTo(images.single)]);
    expect(await listRunningDigests(kube, swapped)).toEqual([images.single.digest]);
  });

  it('that is updated on deletion runs from the backup once its pod was deleted', async () => {
    const workload = withProbe(
      aDaemonSet({ namespace, name: 'on-delete', images: [images.single.reference] }),
    );
    const updateStrategy = { type: 'OnDelete' };
    const created = await kube.create({ ...workload, spec: { ...workload.spec, updateStrategy } });
    await waitFor(async () => imagesOf(await read(kube, created))[0] === copyTo(images.single), {
      what: 'the template to name the copy',
    });
    const [old] = await listLivingPods(kube, created);
    expect(old?.spec.containers[0]?.image).toBe(images.single.reference);
    await kube.delete({ apiVersion: 'v1', kind: 'Pod', namespace, name: old?.metadata.name ?? '' });
    // Such a DaemonSet does not count its updated pods.
    const pod = await waitFor(
      async () =>
        (await listLivingPods(kube, created)).find(({ status }) => status?.containerStatuses?.[0]?.ready),
      { what: 'the new pod to be ready' },
    );
    expect(pod.spec.containers[0]?.image).toBe(copyTo(images.single));
  });
});

describe('the digest that is backed up', () => {
  it('is the one that runs, when its tag has moved to another image since', async () => {
    const spec = { ...NODE_IMAGES.web, repository: 'shop/moved', content: 'before' };
    const before = await pushNodeImage(source, spec, nodeProgram);
    // Nothing is copied before the tag has moved.
    await changeSettings(kube, { SOURCE_HOSTS: 'nowhere.example' });
    const created = await createWorkload(
      aDeployment({ namespace, name: 'moved', images: [before.reference] }),
    );
    const after = await pushNodeImage(source, { ...spec, content: 'after' }, nodeProgram);
    expect(after.digest).not.toBe(before.digest);
    await changeSettings(kube, { SOURCE_HOSTS: source.host });
    const swapped = await waitForImages(kube, created, [copyTo(before)]);
    expect(await listRunningDigests(kube, swapped)).toEqual([before.digest]);
    const answers = (await cluster.askPods(swapped)).map(({ content }) => content);
    expect(answers).toEqual(node ? ['before'] : []);
  });

  it('is known when the same image runs under two names, of which containerd reports either', async () => {
    const spec = { ...NODE_IMAGES.web, content: 'one image' };
    const [first, second] = await Promise.all([
      pushNodeImage(source, { ...spec, repository: 'shop/first-name' }, nodeProgram),
      pushNodeImage(source, { ...spec, repository: 'shop/second-name', tag: '2.0' }, nodeProgram),
    ]);
    const workloads = [];
    for (const image of [first, second]) {
      const name = image.repository.replace('shop/', '');
      workloads.push(await createWorkload(aDeployment({ namespace, name, images: [image.reference] })));
    }
    const [one, two] = workloads as [Workload, Workload];
    await waitForImages(kube, one, [copyTo(first)]);
    const swapped = await waitForImages(kube, two, [copyTo(second)]);
    expect(await listRunningDigests(kube, swapped)).toEqual([second.digest]);
  });
});
