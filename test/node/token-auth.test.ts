/** A backup registry that wants tokens of a service: for the controller that pushes, and for the node that pulls. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { copyOf, imagesOf, waitForImages } from '../support/backed-up.ts';
import { changeSettings } from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
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
import { connectToNodeCluster } from '../support/node/node-test-cluster.ts';
import type { Workload } from '../support/objects.ts';
import { startRegistry } from '../support/registry.ts';
import { waitForRollout } from '../support/rollout.ts';
import { startTokenService, type TokenAccount, type TokenService } from '../support/token-service.ts';

const cluster = connectToNodeCluster();
const { kube, images, tools, processes, address } = cluster;
const { reference } = images.web;
const OWNER: TokenAccount = { user: 'owner', password: 'owner-password', actions: ['pull', 'push'] };
const READER: TokenAccount = { user: 'reader', password: 'first-password', actions: ['pull'] };
const CHANGED: TokenAccount = { ...READER, password: 'second-password' };
/** What the token service makes containerd say to credentials that it does not know. */
const REFUSED = /ErrImagePull.*failed to fetch oauth token: .*\/token\?scope=\S+: 401 Unauthorized/;
/** And the registry, to a token that permits nothing. */
const ANONYMOUS = /ErrImagePull.*pull access denied.*: server message: insufficient_scope/;
/** Either of them: the kubelet pulls without a Secret that it has not seen within a second, and says the latest. */
const NOT_LET_IN = new RegExp(`${REFUSED.source}|${ANONYMOUS.source}`);

let tokens: TokenService;
let backup: LockedBackup;
let copy: string;
let namespace: string;
/** Runs from the backup. */
let resident: Workload;

beforeAll(async () => {
  tokens = await startTokenService({ processes, address });
  tokens.setAccounts([OWNER, READER]);
  const started = await startRegistry({
    tools,
    processes,
    name: 'token-backup',
    tokens: tokens.auth,
    address,
  });
  const registry = { ...started, credentials: OWNER };
  backup = await startLockedBackup(cluster, { name: 'token-auth', registry, reader: READER });
  copy = copyOf(images.web, backup.prefix);
  const deployed = await deployRolling(kube, {
    namespace: await cluster.createNamespace('home'),
    images: [reference],
  });
  resident = await waitForImages(kube, deployed, [copy]);
});

afterAll(async () => {
  await backup.stop();
  await tokens.close();
});

beforeEach(async () => {
  namespace = await cluster.createNamespace('tokens');
});

const isOfNode = ({ client }: { readonly client: string }): boolean =>
  /^(?:containerd|test-kubelet)/.test(client);

/** Who was given tokens so far, and what for. */
function granted(isWanted: (request: { readonly client: string }) => boolean): ReadonlySet<string> {
  const given = tokens.requests.filter((request) => request.status === 200 && isWanted(request));
  return new Set(given.map(({ user, scope }) => `${user} ${scope}`));
}

it('the controller pushes with a token of its own, and the node pulls with one of the pull secret', () => {
  const repository = copy.slice(copy.indexOf('/') + 1, copy.lastIndexOf(':', copy.indexOf('@')));
  expect(granted(isOfNode)).toEqual(new Set([`reader repository:${repository}:pull`]));
  expect(granted((request) => !isOfNode(request))).toContain(`owner repository:${repository}:pull,push`);
});

it('a token that permits nothing gets no copy, not even one that the node has', async () => {
  const stranger = await deployIgnored(kube, { namespace, images: [copy] });
  await waitForPullFailure(kube, stranger, ANONYMOUS);
});

it('a workload whose Secret is wrong gets its originals back', async () => {
  await backup.provide({ ...READER, password: 'wrong-password' });
  const web = await deployRecreated(kube, { namespace, images: [reference] });
  await waitForRollout(kube, web);
  expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(NOT_LET_IN);
  expect((await waitForRollout(kube, web)).spec.template).toEqual(web.spec.template);
  await backup.provide(READER);
});

it('so does one that has none', async () => {
  await changeSettings(kube, { PULL_SECRET: null });
  const web = await deployRecreated(kube, { namespace, images: [reference] });
  await waitForRollout(kube, web);
  expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(ANONYMOUS);
  expect((await waitForRollout(kube, web)).spec.template).toEqual(web.spec.template);
  await changeSettings(kube, { PULL_SECRET });
});

it('a changed password reaches the node with the Secret', async () => {
  tokens.setAccounts([OWNER, CHANGED]);
  await backup.provide(CHANGED);
  await backup.waitForHandOut(resident.metadata.namespace ?? '');
  await cluster.emptyImageCache();
  await scale(kube, resident, 2);
  expect(imagesOf(await waitForRollout(kube, resident))).toEqual([copy]);
  // Pods of other tests go on asking without a name.
  const asked = tokens.requests.findLast((request) => isOfNode(request) && request.user === 'reader');
  expect(asked).toMatchObject({ status: 200 });
});
