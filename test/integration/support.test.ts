/** Proves that the house stands before anything is tested in it: the support itself, without the controller. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { read } from '../support/backed-up.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { KubeError } from '../support/kube-error.ts';
import { createKube, referenceTo } from '../support/kube.ts';
import type { KubeObject, Pod, Workload } from '../support/objects.ts';
import { startRegistry } from '../support/registry.ts';
import { createAndRollOut, listPods, waitForRollout, waitingReasons } from '../support/rollout.ts';
import { deleteManifest, pushImage, SAMPLE_IMAGES } from '../support/seed-images.ts';
import { connectAsServiceAccount, writeServiceAccountKubeconfig } from '../support/service-account.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import {
  CRASHING_ANNOTATION,
  forgetPulledImages,
  inPool,
  NEVER_READY_ANNOTATION,
  startTestKubelet,
} from '../support/test-kubelet.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, images, tools, processes } = cluster;

/** Of every container status: the name that the node has the image under, and the digest that runs. */
function imageIDs(pods: readonly Pod[]): string[] {
  return pods.flatMap(({ status }) => status?.containerStatuses ?? []).map(({ imageID }) => imageID);
}

async function waitForReason(workload: Workload, reason: string): Promise<string> {
  const waiting = await waitFor(
    async () => (await listPods(kube, workload)).flatMap(waitingReasons).find((one) => one.reason === reason),
    { what: `a container waiting with ${reason}` },
  );
  return waiting.message ?? '';
}

describe('pods', () => {
  it.each(['multiPlatform', 'dockerList', 'singleManifest', 'large'] as const)(
    'run the image that the tag names (%s)',
    async (sample) => {
      const namespace = await cluster.createNamespace();
      const { reference, digest } = images[sample];
      const created = await kube.create(aDeployment({ namespace, images: [reference], replicas: 2 }));
      const deployment = await waitForRollout(kube, created);

      const digests = imageIDs(await listPods(kube, deployment)).map((id) => id.split('@')[1]);
      expect(digests).toEqual([digest, digest]);
    },
  );

  it('report the first in the alphabet of the names that the node has their image under', async () => {
    const namespace = await cluster.createNamespace();
    const spec = { ...SAMPLE_IMAGES.singleManifest.spec, content: namespace };
    const [second, first] = [
      await pushImage(source, { repository: `${namespace}/b`, tag: '1', spec }),
      await pushImage(source, { repository: `${namespace}/a`, tag: '1', spec }),
    ];
    const reportedFor = async (name: string, image: string): Promise<readonly string[]> => {
      // Both on one node.
      const podSpec = { nodeName: cluster.nodes[0] ?? '' };
      const created = await kube.create(aDeployment({ namespace, name, images: [image], podSpec }));
      return imageIDs(await listPods(kube, await waitForRollout(kube, created)));
    };
    expect(await reportedFor('one', second.reference)).toEqual([
      `${source.host}/${second.repository}@${second.digest}`,
    ]);
    const reported = [`${source.host}/${first.repository}@${first.digest}`];
    expect(await reportedFor('two', first.reference)).toEqual(reported);
    expect(await reportedFor('three', second.reference)).toEqual(reported);
  });

  it('wait with the words of the kubelet while their image is missing, and run once it is there', async () => {
    const namespace = await cluster.createNamespace();
    const image = { ...SAMPLE_IMAGES.singleManifest, repository: namespace };
    const reference = `${source.host}/${namespace}:${image.tag}`;
    const deployment = await kube.create(aDeployment({ namespace, images: [reference] }));

    expect(await waitForReason(deployment, 'ErrImagePull')).toBe(
      `rpc error: code = NotFound desc = failed to pull and unpack image "${reference}": failed to resolve image: ${reference}: not found`,
    );
    expect(await waitForReason(deployment, 'ImagePullBackOff')).toContain(
      `Back-off pulling image "${reference}": ErrImagePull: rpc error`,
    );

    await pushImage(source, image);
    await waitForRollout(kube, deployment);
  });

  it('do not start their containers while an init container waits', async () => {
    const namespace = await cluster.createNamespace();
    const initImages = [`${source.host}/nothing/here:1`];
    const deployment = await kube.create(
      aDeployment({ namespace, images: [images.dockerList.reference], initImages }),
    );
    const reasons = await waitFor(
      async () => {
        const found = (await listPods(kube, deployment)).flatMap(waitingReasons).map(({ reason }) => reason);
        return found.includes('ErrImagePull') && found;
      },
      { what: 'a container waiting with ErrImagePull' },
    );
    expect(reasons).toEqual(['ErrImagePull', 'PodInitializing']);
  });

  it('pull with the credentials of their imagePullSecrets', async () => {
    const namespace = await cluster.createNamespace();
    const registry = await startRegistry({ tools, processes, name: 'private', auth: true });
    const { reference } = await pushImage(registry, SAMPLE_IMAGES.singleManifest);
    const stranger = aDeployment({ namespace, name: 'stranger', images: [reference] });
    await kube.create(stranger);
    expect(await waitForReason(stranger, 'ErrImagePull')).toContain('no basic auth credentials');

    await kube.create(aPullSecret({ namespace, name: 'pull' }, registry));
    await createAndRollOut(
      kube,
      aDeployment({ namespace, name: 'friend', images: [reference], pullSecrets: ['pull'] }),
    );
  });

  it('are given what a pod of the same credentials has pulled, and no others are', async () => {
    const namespace = await cluster.createNamespace();
    const registry = await startRegistry({ tools, processes, name: 'private-too', auth: true });
    const { reference } = await pushImage(registry, SAMPLE_IMAGES.singleManifest);
    const wrong = { ...registry, credentials: { user: 'backup', password: 'wrong' } };
    await kube.create(aPullSecret({ namespace, name: 'first' }, registry));
    await kube.create(aPullSecret({ namespace, name: 'same' }, registry));
    await kube.create(aPullSecret({ namespace, name: 'wrong' }, wrong));
    // One pod on each node.
    const deploy = async (name: string, pullSecrets: readonly string[]): Promise<Workload> =>
      kube.create(aDaemonSet({ namespace, name, images: [reference], pullSecrets }));
    await waitForRollout(kube, await deploy('puller', ['first']));

    expect(await waitForReason(await deploy('stranger', []), 'ErrImagePull')).toContain(
      'no basic auth credentials',
    );
    expect(await waitForReason(await deploy('mistaken', ['wrong']), 'ErrImagePull')).toMatch(
      /unexpected status from HEAD request to \S+: 401 Unauthorized$/,
    );
    await registry.stop();
    await waitForRollout(kube, await deploy('same', ['same']));
    await kube.apply(aPullSecret({ namespace, name: 'first' }, wrong));
    await waitForRollout(kube, await deploy('later', ['first']));
  });

  it('pull from the backup with the credentials of the node', async () => {
    const namespace = await cluster.createNamespace();
    const { reference } = await pushImage(cluster.backup, {
      ...SAMPLE_IMAGES.singleManifest,
      repository: namespace,
    });
    const deployment = await kube.create(aDeployment({ namespace, images: [reference] }));
    expect((await waitForRollout(kube, deployment)).status?.readyReplicas).toBe(1);
  });

  it('start from the image that their node has, until it forgets it', async () => {
    const namespace = await cluster.createNamespace();
    const image = { ...SAMPLE_IMAGES.singleManifest, repository: namespace };
    const { reference, repository, digest } = await pushImage(source, image);
    const daemonSet = await kube.create(aDaemonSet({ namespace, images: [reference] }));
    await waitForRollout(kube, daemonSet);
    await deleteManifest(source, { repository, digest });

    const again = aDaemonSet({ namespace, name: 'again', images: [reference] });
    await createAndRollOut(kube, again);

    await forgetPulledImages(kube);
    const later = aDaemonSet({ namespace, name: 'later', images: [reference] });
    await kube.create(later);
    expect(await waitForReason(later, 'ErrImagePull')).toContain('not found');
  });

  it('run but never become ready when an annotation says so', async () => {
    const namespace = await cluster.createNamespace();
    const podAnnotations = { [NEVER_READY_ANNOTATION]: '' };
    const deployment = aDeployment({ namespace, images: [images.dockerList.reference], podAnnotations });
    await kube.create(deployment);
    const pod = await waitFor(
      async () => (await listPods(kube, deployment)).find(({ status }) => status?.phase === 'Running'),
      { what: 'a running pod' },
    );
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({ ready: false, started: true });
  });

  it('crash with the words of the kubelet when an annotation says so of their image', async () => {
    const namespace = await cluster.createNamespace();
    const podAnnotations = { [CRASHING_ANNOTATION]: images.dockerList.reference };
    const beside = images.singleManifest.reference;
    const deployment = aDeployment({
      namespace,
      images: [images.dockerList.reference, beside],
      podAnnotations,
    });
    await kube.create(deployment);
    expect(await waitForReason(deployment, 'CrashLoopBackOff')).toMatch(
      /^back-off 10s restarting failed container=main pod=app-\S+$/,
    );
    const [pod] = await listPods(kube, deployment);
    expect(pod?.status?.containerStatuses?.map(({ ready }) => ready)).toEqual([false, true]);
  });

  it('crash on a node of another architecture than their image is built for', async () => {
    const namespace = await cluster.createNamespace();
    const kubelet = await startTestKubelet({
      kube,
      nodes: [{ name: 'foreign', architecture: 's390x', pool: 'foreign' }],
    });
    const podSpec = inPool('foreign');
    const deployment = aDeployment({ namespace, images: [images.singleManifest.reference], podSpec });
    await kube.create(deployment);
    await waitForReason(deployment, 'CrashLoopBackOff');
    const [status] = (await listPods(kube, deployment)).flatMap((pod) => pod.status?.containerStatuses ?? []);
    expect(status?.lastState?.terminated?.message).toContain('exec format error');
    expect(status?.imageID).toContain(images.singleManifest.digest);
    await kube.delete(referenceTo(deployment));
    await waitFor(async () => (await listPods(kube, deployment)).length === 0, {
      what: 'the node to be empty',
    });
    await kubelet.remove();
  });

  it('never start with pull policy Never and an image that the node lacks', async () => {
    const namespace = await cluster.createNamespace();
    const image = `${source.host}/${images.dockerList.repository}@${images.dockerList.digest}`;
    const deployment = await kube.create(aDeployment({ namespace, images: [image], pullPolicy: 'Never' }));
    expect(await waitForReason(deployment, 'ErrImageNeverPull')).toContain(
      'is not present with pull policy of Never',
    );
  });

  it('mount image volumes only when there is such an image', async () => {
    const namespace = await cluster.createNamespace();
    const mount = (name: string, reference: string): Workload =>
      aDeployment({
        namespace,
        name,
        images: [images.dockerList.reference],
        podSpec: { volumes: [{ name: 'data', image: { reference } }] },
      });
    await createAndRollOut(kube, mount('there', images.singleManifest.reference));
    const missing = await kube.create(mount('missing', `${source.host}/nothing/here:1`));
    expect(await waitForReason(missing, 'ErrImagePull')).toContain('nothing/here:1: not found');
  });

  it('are ended gracefully: first marked as terminating, then removed long before their grace period is over', async () => {
    const namespace = await cluster.createNamespace();
    const created = await kube.create(aDeployment({ namespace, images: [images.dockerList.reference] }));
    await waitForRollout(kube, created);
    const query = { apiVersion: 'v1', kind: 'Pod', namespace };
    const { resourceVersion } = (await kube.listPage(query)).metadata;
    await kube.delete(referenceTo(created));

    const seen: string[] = [];
    for await (const event of kube.watch<Pod>({ ...query, resourceVersion }, AbortSignal.timeout(25_000))) {
      if (event.type === 'DELETED') {
        break;
      }
      seen.push(
        event.type !== 'ERROR' && event.object.metadata.deletionTimestamp ? 'terminating' : event.type,
      );
    }
    expect(seen).toContain('terminating');
  });
});

describe('workloads', () => {
  it('roll from one image to the next, one pod at a time', async () => {
    const namespace = await cluster.createNamespace();
    const { multiPlatform, multiPlatformNext } = images;
    const deployment = aDeployment({ namespace, images: [multiPlatform.reference], replicas: 3 });
    await createAndRollOut(kube, deployment);

    await kube.apply(aDeployment({ namespace, images: [multiPlatformNext.reference], replicas: 3 }));
    await waitForRollout(kube, deployment);

    const running = imageIDs(
      (await listPods(kube, deployment)).filter((pod) => !pod.metadata.deletionTimestamp),
    );
    expect(new Set(running.map((id) => id.split('@')[1]))).toEqual(new Set([multiPlatformNext.digest]));
    const replicaSets = await kube.list({ apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace });
    expect(replicaSets).toHaveLength(2);
  });

  it('keep their old pods when the next image is missing', async () => {
    const namespace = await cluster.createNamespace();
    const deployment = aDeployment({ namespace, images: [images.dockerList.reference], replicas: 2 });
    await createAndRollOut(kube, deployment);

    await kube.apply(aDeployment({ namespace, images: [`${source.host}/nothing/here:1`], replicas: 2 }));
    await waitForReason(deployment, 'ImagePullBackOff');
    await waitFor(
      async () => {
        const { availableReplicas, updatedReplicas } = (await read(kube, deployment)).status ?? {};
        return availableReplicas === 2 && updatedReplicas === 1;
      },
      { what: 'two old pods and a new one to be counted' },
    );
  });

  it('of kind DaemonSet have one pod on each node', async () => {
    const namespace = await cluster.createNamespace();
    const created = await kube.create(aDaemonSet({ namespace, images: [images.singleManifest.reference] }));
    const pods = await listPods(kube, await waitForRollout(kube, created));
    expect(new Set(pods.map(({ spec }) => spec.nodeName))).toEqual(new Set(cluster.nodes));
  });

  it('of kind Job end', async () => {
    const namespace = await cluster.createNamespace();
    const { spec } = aDeployment({ namespace, images: [images.singleManifest.reference] });
    const template = { ...spec.template, spec: { ...spec.template.spec, restartPolicy: 'Never' } };
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { namespace, name: 'job' },
      spec: { template },
    };
    await kube.create(job);
    const status = await waitFor(
      async () => {
        const now = await kube.get<KubeObject & { status?: { succeeded?: number } }>(referenceTo(job));
        return now?.status?.succeeded ? now.status : undefined;
      },
      { what: 'the job to succeed' },
    );
    expect(status.succeeded).toBe(1);
  });
});

describe('the API server', () => {
  it('grants a ServiceAccount what RBAC grants it, and nothing else', async () => {
    const namespace = await cluster.createNamespace();
    await kube.create({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { namespace, name: 'view' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
    });
    const restricted = createKube(await connectAsServiceAccount(cluster, { namespace, name: 'default' }));
    await waitFor(() => restricted.list({ apiVersion: 'apps/v1', kind: 'Deployment', namespace }), {
      what: 'the role binding to take effect',
    });
    const elsewhere = restricted.list({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      namespace: 'kube-system',
    });
    await expect(elsewhere).rejects.toThrow(KubeError);
    const secrets = restricted.list({ apiVersion: 'v1', kind: 'Secret', namespace });
    await expect(secrets).rejects.toMatchObject({ status: 403, reason: 'Forbidden' });
    restricted.close();
  });

  it('serves kubectl with the kubeconfig of a ServiceAccount', async () => {
    const namespace = await cluster.createNamespace();
    const file = join(processes.folder, 'service-account.kubeconfig');
    await writeServiceAccountKubeconfig(cluster, { namespace, name: 'default', file });
    const kubectl = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)(tools.kubectl, ['--kubeconfig', file, ...args])).stdout;

    expect(await kubectl('auth', 'whoami')).toContain(`system:serviceaccount:${namespace}:default`);
    await expect(kubectl('get', 'deployments')).rejects.toThrow(
      `cannot list resource "deployments" in API group "apps" in the namespace "${namespace}"`,
    );
  });
});
