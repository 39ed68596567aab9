/** Pull secrets on a node that keeps what it has pulled, but not for everybody: there, absent, wrong, changed. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { changeSettings } from '../support/controller.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import {
  deployIgnored,
  deployRecreated,
  deployRolling,
  PULL_SECRET,
  scale,
  startLockedBackup,
  waitForPullFailure,
  type LockedBackup,
} from '../support/node/locked-backup.ts';
import { NODE_IMAGES, pushNodeImage } from '../support/node/node-images.ts';
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import type { Workload } from '../support/objects.ts';
import { READERS, type Credentials } from '../support/registry-accounts.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { listLivingPods, waitForRollout, waitingReasons } from '../support/rollout.ts';
import { waitFor } from '../support/wait-for.ts';

const cluster = connectToNodeCluster();
const { kube, images, tools, processes, address, nodeProgram } = cluster;
const { reference } = images.single;
const WRONG: Credentials = { user: 'reader', password: 'wrong-password' };
/** What the distribution registry makes containerd say to credentials that it does not know. */
const REFUSED = /ErrImagePull.*unexpected status from HEAD request to http:\S+: 401 Unauthorized/;
const ANONYMOUS = /ErrImagePull.*pull access denied, repository does not exist .*: no basic auth credentials/;
/** Either of them: the kubelet pulls without a Secret that it has not seen within a second, and says the latest. */
const NOT_LET_IN = new RegExp(`${REFUSED.source}|${ANONYMOUS.source}`);

let registry: Registry;
let backup: LockedBackup;
let copy: string;
/** A namespace with a workload that runs from the backup: the node has the copy, and had the original before. */
let home: string;
let resident: Workload;
let namespace: string;

beforeAll(async () => {
  registry = await startRegistry({ tools, processes, name: 'locked-backup', auth: true, address });
  await registry.setReader(READERS.before);
  backup = await startLockedBackup(cluster, { name: 'pull-secret', registry, reader: READERS.before });
  copy = copyOf(images.single, backup.prefix);
  home = await cluster.createNamespace('home');
  const deployed = await deployRolling(kube, { namespace: home, images: [reference] });
  resident = await waitForImages(kube, deployed, [copy]);
});

afterAll(async () => {
  await backup.stop();
});

beforeEach(async () => {
  namespace = await cluster.createNamespace('pull');
});

const pullSecretsOf = ({ spec }: Workload): readonly string[] =>
  (spec.template.spec.imagePullSecrets ?? []).map(({ name }) => name);

/** How often the node has got something of the registry: pods that may not pull ask again and again in vain. */
async function countPulls(): Promise<number> {
  const requests = await registry.requests();
  return requests.filter(({ client, status }) => /^(?:containerd|test-kubelet)/.test(client) && status < 400)
    .length;
}

describe('a workload that is swapped', () => {
  it('pulls with the Secret that was handed out, also when one of its own is wrong', async () => {
    await backup.createSecret(namespace, 'mine', WRONG);
    await cluster.emptyImageCache();
    const pulls = await countPulls();
    const web = await deployRolling(kube, { namespace, images: [reference], pullSecrets: ['mine'] });
    const swapped = await waitForImages(kube, web, [copy]);
    expect(pullSecretsOf(swapped).toSorted()).toEqual([PULL_SECRET, 'mine']);
    expect(await countPulls()).toBeGreaterThan(pulls);
  });

  it('goes on pulling with the Secrets of its ServiceAccount what is not copied', async () => {
    const other = await startRegistry({ tools, processes, name: 'private-source', auth: true, address });
    await cluster.allowRegistry(other);
    const own = await pushNodeImage(other, NODE_IMAGES.sidecar, nodeProgram);
    await kube.create(aPullSecret({ namespace, name: 'of-account' }, other));
    await kube.create({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace, name: 'app' },
      imagePullSecrets: [{ name: 'of-account' }],
    });
    const web = await deployRolling(kube, {
      namespace,
      images: [reference, own.reference],
      annotations: { 'backup-image-registry/ignore-containers': 'extra-1' },
      podSpec: { serviceAccountName: 'app' },
    });
    const swapped = await waitForImages(kube, web, [copy, own.reference]);
    expect(pullSecretsOf(swapped).toSorted()).toEqual([PULL_SECRET, 'of-account']);
  });

  it('waits while there is no Secret beside the controller', async () => {
    await backup.withdraw();
    const web = await deployRecreated(kube, { namespace, images: [reference] });
    await waitForRollout(kube, web);
    await waitForEvent(kube, web, 'PullSecretMissing');
    expect(imagesOf(await read(kube, web))).toEqual([reference]);
    await backup.provide(READERS.before);
    await waitForImages(kube, web, [copy]);
  });

  it('gets its originals back, and is held, when the Secret is wrong', async () => {
    await backup.provide(WRONG);
    const web = await deployRecreated(kube, { namespace, images: [reference] });
    await waitForRollout(kube, web);
    const told = await waitForEvent(kube, web, 'SwapRolledBack');
    expect(told).toMatch(NOT_LET_IN);
    expect(told).toMatch(/See whether the Secret that PULL_SECRET names may pull/);
    const restored = await waitForRollout(kube, web);
    expect(restored.spec.template).toEqual(web.spec.template);
    expect(restored.metadata.annotations?.['backup-image-registry/status']).toContain('"hold":{');
    await waitFor(async () => (await backup.findHandedOut(namespace)) === undefined, {
      what: 'the Secret to be gone',
    });

    await backup.provide(READERS.before);
    const annotations = { 'backup-image-registry/refresh': 'the Secret is right now' };
    await kube.patch(referenceTo(web), { metadata: { annotations } });
    await waitForImages(kube, web, [copy]);
  });
});

describe('the copy that the node has', () => {
  it.each([
    ['no Secret', [], {}, ANONYMOUS],
    ['a Secret that does not exist', ['missing'], {}, ANONYMOUS],
    ['a wrong Secret', ['wrong'], {}, REFUSED],
    [
      'no Secret, and may not pull',
      [],
      { pullPolicy: 'Never' },
      /ErrImageNeverPull: Container image "\S+" is not present/,
    ],
  ] as const)('is kept from a neighbour with %s', async (_, pullSecrets, options, expected) => {
    await backup.createSecret(namespace, 'wrong', WRONG);
    const neighbour = await deployIgnored(kube, { namespace, images: [copy], pullSecrets, ...options });
    await waitForPullFailure(kube, neighbour, expected);
  });

  it('is given to a neighbour with the same credentials, and the registry is not asked', async () => {
    await backup.createSecret(namespace, 'same', READERS.before);
    const pulls = await countPulls();
    const options = { namespace, images: [copy], pullSecrets: ['same'] };
    await waitForRollout(kube, await deployIgnored(kube, options));
    expect(await countPulls()).toBe(pulls);
  });
});

it('a changed password is asked for once the node needs the copy anew, and reaches it with the Secret', async () => {
  await registry.setReader(READERS.after);
  await scale(kube, resident, 2);
  await waitForRollout(kube, resident);
  await cluster.emptyImageCache();
  await scale(kube, resident, 3);
  await waitForPullFailure(kube, resident, REFUSED);

  await backup.provide(READERS.after);
  await backup.waitForHandOut(home);
  // A pod that has failed waits before it tries again; a new one does not.
  const stuck = (await listLivingPods(kube, resident)).filter((pod) => waitingReasons(pod).length > 0);
  await Promise.all(stuck.map(async (pod) => kube.delete(referenceTo(pod))));
  expect(imagesOf(await waitForRollout(kube, resident))).toEqual([copy]);
});

describe('without PULL_SECRET', () => {
  beforeAll(async () => {
    await changeSettings(kube, { PULL_SECRET: null });
  });

  it('a workload does not start from a copy that the node has already, and gets its originals back', async () => {
    await waitForRollout(kube, resident);
    const web = await deployRecreated(kube, { namespace, images: [reference] });
    await waitForRollout(kube, web);
    expect(await waitForEvent(kube, web, 'ImageSwapped')).toMatch(/PULL_SECRET has to be set/);
    expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(ANONYMOUS);
    expect((await waitForRollout(kube, web)).spec.template).toEqual(web.spec.template);
  });

  it('one with a wrong Secret of its own gets them back as well', async () => {
    await backup.createSecret(namespace, 'mine', WRONG);
    const options = { namespace, images: [reference], pullSecrets: ['mine'] };
    const web = await deployRecreated(kube, options);
    await waitForRollout(kube, web);
    expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(NOT_LET_IN);
    expect((await waitForRollout(kube, web)).spec.template).toEqual(web.spec.template);
  });
});
