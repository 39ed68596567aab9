/**
 * The controller as users run it: an image made as the Dockerfile says, installed with `kubectl apply -f ./config/default/`,
 * two pods under Pod Security "restricted", in whose network the API server is the Service `kubernetes`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, waitForImages } from '../support/backed-up.ts';
import { describeControllerImage } from '../support/controller-files.ts';
import { CONTROLLER_LEASE, CONTROLLER_NAMESPACE, kubectl, ROOT } from '../support/controller.ts';
import { dockerConfigFor } from '../support/docker-config.ts';
import type { NodeImageName } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import { killContainer, type NodeConnection } from '../support/node/real-node.ts';
import { withProbe } from '../support/node/serving.ts';
import type { AnyObject, Pod, Workload } from '../support/objects.ts';
import { createAndRollOut, listPods, waitForRollout } from '../support/rollout.ts';
import { pushImage } from '../support/seed-images.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToNodeCluster();
const { kube, source, backup, images, tools, processes, node } = cluster;
const MANIFESTS = join(ROOT, 'config/default');
const PREFIX = `${backup.host}/installed`;
const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: CONTROLLER_NAMESPACE,
  name: 'k8s-backup-image-registry-controller',
} as const;

let folder: string;
let image: string;

/** The three places that README tells to edit, edited as text. */
async function writeEditedManifests(): Promise<void> {
  const edits: readonly (readonly [string, string])[] = [
    ['image: k8s-backup-image-registry-controller:latest', `image: ${image}`],
    ['    {\n      "auths": {}\n    }', `    ${dockerConfigFor([backup])}`],
    ["REGISTRY_PREFIX: '<registry.domain/username>'", `REGISTRY_PREFIX: '${PREFIX}'`],
    // The registries of the test speak plain HTTP, and this test is about one namespace.
    ['\ndata:\n', `\ndata:\n  INSECURE_REGISTRIES: '${source.host},${backup.host}'\n`],
  ];
  let text = await readFile(join(MANIFESTS, 'deployment.yaml'), 'utf8');
  for (const [from, to] of edits) {
    expect(text.split(from)).toHaveLength(2);
    text = text.replace(from, to);
  }
  await writeFile(join(folder, 'deployment.yaml'), text);
  await writeFile(join(folder, 'rbac.yaml'), await readFile(join(MANIFESTS, 'rbac.yaml'), 'utf8'));
}

async function controllerPods(): Promise<readonly Pod[]> {
  const deployment = await kube.get<Workload>(DEPLOYMENT);
  return deployment ? listPods(kube, deployment) : [];
}

/** Of every process another one; empty while there is none. */
async function findHolder(): Promise<string> {
  const lease = await kube.get<AnyObject & { spec?: { holderIdentity?: string } }>(CONTROLLER_LEASE);
  return lease?.spec?.holderIdentity ?? '';
}

/** The pod that the Lease names. */
async function findLeader(): Promise<Pod | undefined> {
  const holder = await findHolder();
  return (await controllerPods()).find(({ metadata }) => holder.startsWith(metadata.name));
}

/** A new Deployment ends up on its copy: somebody is at work. */
async function expectBackup(namespace: string, name: NodeImageName): Promise<void> {
  const { reference } = images[name];
  const workload = withProbe(aDeployment({ namespace, name: name.toLowerCase(), images: [reference] }));
  const created = await createAndRollOut(kube, workload);
  await waitForImages(kube, created, [copyOf(images[name], PREFIX)]);
}

describe.runIf(node)('installed as README says', () => {
  let namespace: string;

  beforeAll(async () => {
    folder = await processes.createFolder('edited');
    namespace = await cluster.createNamespace();
    const spec = await describeControllerImage({
      regctl: tools.regctl,
      folder: await processes.createFolder('dist'),
    });
    const pushed = await pushImage(source, { repository: 'platform/controller', tag: '0.1.0', spec });
    image = pushed.reference;
    await writeEditedManifests();
    await kubectl(cluster, 'delete', '--ignore-not-found', '-f', folder);
    const { stderr } = await kubectl(cluster, 'apply', '-f', folder);
    expect(stderr).toBe('');
    await waitForRollout(kube, DEPLOYMENT);
  });

  afterAll(async () => {
    await kubectl(cluster, 'delete', '--ignore-not-found', '-f', folder);
  });

  it('it backs up and swaps, with two pods that are ready, and leaves itself alone', async () => {
    await expectBackup(namespace, 'web');
    const pods = await controllerPods();
    expect(pods).toHaveLength(2);
    const own = await kube.get<Workload>(DEPLOYMENT);
    expect(own && imagesOf(own)).toEqual([image]);
  });

  it('the work goes on when the container of the leader is killed', async () => {
    const leader = await waitFor(findLeader, { what: 'a leader' });
    const holder = await findHolder();
    await killContainer(node as NodeConnection, leader.status?.containerStatuses?.[0]?.containerID ?? '');
    // The other pod, or the same one with a new container: both wait until the Lease has expired.
    await waitFor(async () => !['', holder].includes(await findHolder()), {
      what: 'another leader',
    });
    await expectBackup(namespace, 'single');
    const pods = await waitFor(
      async () => {
        await waitForRollout(kube, DEPLOYMENT);
        return controllerPods();
      },
      { what: 'both pods to be ready again' },
    );
    expect(pods.map(({ metadata }) => metadata.uid)).toContain(leader.metadata.uid);
  });

  it('a new version of itself rolls out, and the work goes on', async () => {
    const before = new Set((await controllerPods()).map(({ metadata }) => metadata.uid));
    await kubectl(cluster, 'rollout', 'restart', '-n', CONTROLLER_NAMESPACE, 'deployment', DEPLOYMENT.name);
    await waitForRollout(kube, DEPLOYMENT);
    await waitFor(async () => (await controllerPods()).every(({ metadata }) => !before.has(metadata.uid)), {
      what: 'the old pods to be gone',
    });
    await expectBackup(namespace, 'dockerWeb');
  });
});
