/**
 * Policies that change the images of pods and not those of templates, on the real API server: with and without the
 * permission to see what they would make of a copy.
 */
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  CONTROLLER_NAMESPACE,
  installController,
  kubectl,
  ROOT,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { followObjects } from '../support/follow.ts';
import { createKube, referenceTo } from '../support/kube.ts';
import { waitForEmptied } from '../support/namespaces.ts';
import type { AnyObject, Pod, Workload } from '../support/objects.ts';
import { aPod, previewImage, REWRITES, startPodPolicy, type PodPolicy } from '../support/pod-policy.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { listPodImages, listRunningDigests } from '../support/running-images.ts';
import { pushImage, SAMPLE_IMAGES, type PushedImage } from '../support/seed-images.ts';
import { connectAsServiceAccount } from '../support/service-account.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment, aStatefulSet, isRolledOut } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools, processes } = cluster;
/** As README says: the policy first. */
const COMPONENT = ['policy.yaml', 'rbac.yaml'].flatMap((file) => [
  '-f',
  join(ROOT, 'config/components/pod-dry-run', file),
]);
const PREFIX = `${backup.host}/policies`;
const NOWHERE = 'mirror.example';
const ORIGINAL = images.singleManifest.reference;
const COPY = copyOf(images.singleManifest, PREFIX);

let controller: Controller;
/** Open to everybody. */
let mirror: Registry;
let policies: PodPolicy[] = [];
let edits = 1;

beforeAll(async () => {
  mirror = await startRegistry({ tools, processes, name: 'mirror' });
  await kubectl(cluster, 'delete', '--ignore-not-found', ...COMPONENT);
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: [source, backup, mirror].map(({ host }) => host).join(','),
    REQUEUE_AFTER: '1s',
    WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet',
  });
  controller = await startController(cluster, { name: 'pod-policies', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
  await kubectl(cluster, 'delete', '--ignore-not-found', ...COMPONENT);
});

/** Makes the controller forget what was denied and what has failed. */
async function editSettings(): Promise<void> {
  edits += 1;
  await changeSettings(kube, { COPY_CONCURRENCY: `${edits}` });
}

beforeEach(editSettings);

afterEach(async () => {
  const ending = policies;
  policies = [];
  await Promise.all(ending.map((policy) => policy.remove()));
});

async function rewrite(namespace: string, expression: string, example: string): Promise<PodPolicy> {
  const policy = await startPodPolicy(kube, { namespace, rewrite: expression, example });
  policies.push(policy);
  return policy;
}

/** From now on, pods of the namespace look for copies where there is nothing. */
async function loseCopies(namespace: string): Promise<PodPolicy> {
  return rewrite(namespace, REWRITES.host(backup.host, NOWHERE), COPY);
}

async function dropTags(namespace: string): Promise<PodPolicy> {
  return rewrite(namespace, REWRITES.dropTag(), COPY);
}

/** From now on, pods of the namespace take images of the source from the mirror. */
async function useMirror(namespace: string): Promise<PodPolicy> {
  return rewrite(namespace, REWRITES.host(source.host, mirror.host), ORIGINAL);
}

/** An image of the source that the mirror has, too, or has another one in its place. */
async function pushToBoth(
  repository: string,
  mirrored: string,
): Promise<Record<'first' | 'other', PushedImage>> {
  const { tag, spec } = SAMPLE_IMAGES.singleManifest;
  const push = async (registry: Registry | typeof source, content: string): Promise<PushedImage> =>
    pushImage(registry, { repository, tag, spec: { ...spec, content: `${repository} ${content}` } });
  return { first: await push(source, 'as released'), other: await push(mirror, mirrored) };
}

function recreated(workload: Workload): Workload {
  return { ...workload, spec: { ...workload.spec, strategy: { type: 'Recreate' } } };
}

async function expectUntouched(workload: Workload): Promise<void> {
  const now = await read(kube, workload);
  expect(imagesOf(now)).toEqual(imagesOf(workload));
  expect(now.metadata.generation).toBe(1);
  expect(Object.keys(now.metadata.annotations ?? {}).filter((key) => key.startsWith('backup-image'))).toEqual(
    [],
  );
}

describe('without the permission to try pods', () => {
  it('puts a Deployment and a DaemonSet back whose pods look for the copy where there is none', async () => {
    const [one, two] = [await cluster.createNamespace(), await cluster.createNamespace()];
    await Promise.all([one, two].map(loseCopies));
    const podSpec = { nodeSelector: { 'kubernetes.io/hostname': cluster.nodes[0] ?? '' } };
    const workloads = await Promise.all([
      createAndRollOut(kube, recreated(aDeployment({ namespace: one, images: [ORIGINAL] }))),
      createAndRollOut(kube, aDaemonSet({ namespace: two, images: [ORIGINAL], podSpec })),
    ]);
    for (const workload of workloads) {
      expect(await waitForEvent(kube, workload, 'SwapRolledBack')).toMatch(
        /a node cannot run the copy of main: \w+: .*mirror\.example/,
      );
      expect(imagesOf(await waitForRollout(kube, workload))).toEqual([ORIGINAL]);
      expect(await listPodImages(kube, workload)).toEqual([ORIGINAL]);
    }
  });

  it.each([
    ['find nothing', () => REWRITES.host(backup.host, NOWHERE)],
    ['run something else', () => REWRITES.replaceAll(backup.host, images.dockerList.reference)],
  ])('has never more than one workload of a namespace swapped whose pods %s', async (_, expression) => {
    const namespace = await cluster.createNamespace();
    await rewrite(namespace, expression(), COPY);
    const following = new AbortController();
    const down = new Set<string>();
    let most = 0;
    const see = (workload: Workload): void => {
      if (imagesOf(workload)[0] !== ORIGINAL) {
        down.add(workload.metadata.name);
      } else if (isRolledOut(workload)) {
        down.delete(workload.metadata.name);
      }
      most = Math.max(most, down.size);
    };
    const query = { apiVersion: 'apps/v1', kind: 'Deployment', namespace };
    const handlers = { onObject: see, onGone: () => undefined };
    const followed = followObjects<Workload>({ kube, query }, handlers, following.signal);
    const webs = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        createAndRollOut(kube, recreated(aDeployment({ namespace, name, images: [ORIGINAL] }))),
      ),
    );
    await Promise.all(webs.map((web) => waitForEvent(kube, web, 'SwapRolledBack')));
    const ended = await Promise.all(webs.map((web) => waitForRollout(kube, web)));
    following.abort();
    await followed.catch(() => undefined);
    expect(ended.flatMap(imagesOf)).toEqual([ORIGINAL, ORIGINAL, ORIGINAL]);
    expect(most).toBe(1);
  });

  it('puts back a workload whose pods run something else than the copy', async () => {
    const namespace = await cluster.createNamespace();
    // Under no other name is it on any node.
    const spec = { ...SAMPLE_IMAGES.dockerList.spec, content: namespace };
    const { reference } = await pushImage(mirror, { ...SAMPLE_IMAGES.dockerList, spec });
    await rewrite(namespace, REWRITES.replaceAll(backup.host, reference), COPY);
    const web = await createAndRollOut(kube, aDeployment({ namespace, images: [ORIGINAL] }));
    const told = await waitForEvent(kube, web, 'SwapRolledBack');
    expect(told).toContain('its pods do not run the copy in main');
    expect(told).toContain(mirror.host);
    expect(imagesOf(await waitForRollout(kube, web))).toEqual([ORIGINAL]);
    expect(await listRunningDigests(kube, web)).toEqual([images.singleManifest.digest]);
  });

  it('leaves a workload alone whose pods come from a mirror, although that has the same image', async () => {
    const namespace = await cluster.createNamespace();
    await useMirror(namespace);
    const { first, other } = await pushToBoth(`${namespace}/same`, 'as released');
    const web = await createAndRollOut(kube, aDeployment({ namespace, images: [first.reference] }));
    const told = await waitForEvent(kube, web, 'SwapDenied');
    expect(told).toContain(other.reference);
    expect(told).toContain('config/components/pod-dry-run');
    await expectUntouched(web);
    expect(await listPodImages(kube, web)).toEqual([other.reference]);
  });

  it('leaves a workload alone whose pods run another image of a mirror', async () => {
    const namespace = await cluster.createNamespace();
    await useMirror(namespace);
    const { first, other } = await pushToBoth(`${namespace}/other`, 'hardened');
    const web = await createAndRollOut(kube, aDeployment({ namespace, images: [first.reference] }));
    expect(await waitForEvent(kube, web, 'OtherImageRuns')).toContain(`${mirror.host}/${other.repository}`);
    await expectUntouched(web);
    expect(await listRunningDigests(kube, web)).toEqual([other.digest]);
  });
});

describe('with the permission to try pods', () => {
  beforeAll(async () => {
    await kubectl(cluster, 'apply', ...COMPONENT);
    const { asController, close } = await actAsController();
    const namespace = await cluster.createNamespace();
    await waitFor(() => asController(namespace, '?dryRun=All'), { what: 'the permission to take effect' });
    // Until the policy does, such a pod is created for real.
    const isRefused = async (): Promise<boolean> => {
      const error = await asController(namespace).then(
        ({ metadata: { name } }) => kube.delete({ apiVersion: 'v1', kind: 'Pod', namespace, name }),
        String,
      );
      return error !== undefined && /may only try to create pods/.test(error);
    };
    await waitFor(isRefused, { what: 'the policy of the component to be in force' });
    close();
  });

  async function actAsController() {
    const account = { namespace: CONTROLLER_NAMESPACE, name: 'backup-image-registry-sa' };
    const client = createKube(await connectAsServiceAccount(cluster, account));
    const asController = async (namespace: string, query = ''): Promise<Pod> => {
      const path = `/api/v1/namespaces/${namespace}/pods${query}`;
      return client.request({ method: 'POST', path, body: aPod(namespace, ORIGINAL) });
    };
    return { asController, close: () => client.close() };
  }

  it('creates no pod all the same', { tags: 'attack-token' }, async () => {
    const namespace = await cluster.createNamespace();
    const { asController, close } = await actAsController();
    await expect(asController(namespace)).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining('This ServiceAccount may only try to create pods (dryRun=All).'),
    });
    const tried = await asController(namespace, '?dryRun=All');
    close();
    expect(tried.spec.containers[0]?.image).toBe(ORIGINAL);
    expect(await kube.list({ apiVersion: 'v1', kind: 'Pod', namespace })).toEqual([]);
  });

  it('begins no swap whose pods would look for the copy elsewhere, until the policy is gone', async () => {
    const namespace = await cluster.createNamespace();
    const policy = await loseCopies(namespace);
    const web = await createAndRollOut(kube, aDeployment({ namespace, images: [ORIGINAL] }));
    expect(await waitForEvent(kube, web, 'SwapDenied')).toContain(
      `admission would change the image of main in its pods to "${COPY.replace(backup.host, NOWHERE)}"`,
    );
    await expectUntouched(web);
    await policy.remove();
    await editSettings();
    await waitForImages(kube, web, [COPY]);
    expect(await listPodImages(kube, web)).toEqual([COPY]);
  });

  it('swaps workloads whose pods lose the tag of the copy, one after the other', async () => {
    const namespace = await cluster.createNamespace();
    await dropTags(namespace);
    const webs = await Promise.all(
      ['a', 'b'].map((name) => createAndRollOut(kube, aDeployment({ namespace, name, images: [ORIGINAL] }))),
    );
    for (const web of webs) {
      await waitForImages(kube, web, [COPY]);
      expect(await listPodImages(kube, web)).toEqual([COPY.replace(/:[^:/]+@/, '@')]);
      expect(await listRunningDigests(kube, web)).toEqual([images.singleManifest.digest]);
      expect((await listEvents(kube, web)).map(({ reason }) => reason)).toEqual(['ImageSwapped']);
    }
  });

  it('swaps a workload whose pods come from a mirror that has the same image', async () => {
    const namespace = await cluster.createNamespace();
    await useMirror(namespace);
    const { first } = await pushToBoth(`${namespace}/same`, 'as released');
    const web = await createAndRollOut(kube, aDeployment({ namespace, images: [first.reference] }));
    await waitForImages(kube, web, [copyOf(first, PREFIX)]);
    expect(await listPodImages(kube, web)).toEqual([copyOf(first, PREFIX)]);
  });

  it('leaves a workload alone whose pods run another image of a mirror', async () => {
    const namespace = await cluster.createNamespace();
    await useMirror(namespace);
    const { first, other } = await pushToBoth(`${namespace}/other`, 'hardened');
    const web = await createAndRollOut(kube, aDeployment({ namespace, images: [first.reference] }));
    await waitForEvent(kube, web, 'OtherImageRuns');
    await expectUntouched(web);
    expect(await listRunningDigests(kube, web)).toEqual([other.digest]);
  });

  it('swaps a StatefulSet whose pods mount claims of their own', async () => {
    const namespace = await cluster.createNamespace();
    const volume = aVolume(namespace);
    await kube.create(volume);
    const volumeMounts = [{ name: 'data', mountPath: '/data' }];
    const containers = [{ name: 'main', image: ORIGINAL, volumeMounts }];
    const plain = aStatefulSet({ namespace, images: [], podSpec: { containers } });
    const claim = {
      metadata: { name: 'data' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: namespace,
        resources: { requests: { storage: '1Mi' } },
      },
    };
    const db = await createAndRollOut(kube, {
      ...plain,
      spec: { ...plain.spec, volumeClaimTemplates: [claim] },
    });
    await waitForImages(kube, db, [COPY]);
    expect(await listPodImages(kube, db)).toEqual([COPY]);
    await kube.delete(referenceTo(volume));
  });

  it('swaps a workload that its quota has no room for one more pod of', async () => {
    const namespace = await cluster.createNamespace();
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { namespace, name: 'full' },
      spec: { hard: { pods: '2' } },
    };
    await kube.create(quota);
    const isKnown = async (): Promise<boolean> =>
      (await kube.get(referenceTo(quota)))?.['status'] !== undefined;
    await waitFor(isKnown, { what: 'the quota to be counted' });
    const plain = aDeployment({ namespace, images: [ORIGINAL], replicas: 2 });
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } };
    const web = await createAndRollOut(kube, { ...plain, spec: { ...plain.spec, strategy } });
    await waitForImages(kube, web, [COPY]);
    // The quota counts a new pod some time after it has taken the place of an old one.
    const isFull = async (): Promise<boolean> =>
      previewImage(kube, namespace, COPY).then(
        () => false,
        (error: unknown) => /exceeded quota/.test(String(error)),
      );
    await waitFor(isFull, { what: 'the quota to have no room' });
    expect(await listPodImages(kube, web)).toEqual([COPY, COPY]);
  });
});

/** Nothing is on it: the test kubelet mounts nothing. */
function aVolume(name: string): AnyObject {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '1Mi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: name,
      hostPath: { path: '/nowhere' },
    },
  };
}

describe('with a backup that the nodes cannot pull from', () => {
  it('puts back a workload whose pods lose the tag of the copy', async () => {
    await kubectl(cluster, 'delete', '--ignore-not-found', ...COMPONENT);
    const locked = await startRegistry({ tools, processes, name: 'locked-backup', auth: true });
    await controller.program.stop();
    await waitForEmptied(kube);
    const prefix = `${locked.host}/locked`;
    const namespaces = await kube.list({ apiVersion: 'v1', kind: 'Namespace' });
    await changeSettings(kube, {
      REGISTRY_PREFIX: prefix,
      INSECURE_REGISTRIES: `${source.host},${locked.host}`,
      NAMESPACES_EXCLUDE_LIST: namespaces.map(({ metadata }) => metadata.name).join(','),
    });
    controller = await startController(cluster, { name: 'locked-out', registries: [locked] });
    const namespace = await cluster.createNamespace();
    await dropTags(namespace);
    const web = await createAndRollOut(kube, recreated(aDeployment({ namespace, images: [ORIGINAL] })));
    expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(
      /a node cannot run the copy of main: \w+: .*no basic auth credentials/,
    );
    expect(imagesOf(await waitForRollout(kube, web))).toEqual([ORIGINAL]);
    expect(await listPodImages(kube, web)).toEqual([ORIGINAL]);
  });
});

it('says that the annotations are full, and blames no policy', async () => {
  const namespace = await cluster.createNamespace();
  const web = aDeployment({ namespace, images: [ORIGINAL] });
  const annotations = { 'example.com/notes': 'x'.repeat(256 * 1_024 - 200) };
  await createAndRollOut(kube, { ...web, metadata: { ...web.metadata, annotations } });
  const told = await waitForEvent(kube, await read(kube, web), 'SwapDenied');
  expect(told).toMatch(/the annotations of the workload have no room for its original images/);
  expect(told).not.toMatch(/policy or webhook/);
});
