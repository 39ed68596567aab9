/** A backup registry that the nodes have no credentials for, and the Secret that the controller hands out. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { listGranted, listUsed, readAuditLog, type Rule } from '../support/audit.ts';
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
import { imagesOfRuns, readCronJob, startRun, waitForRun } from '../support/cron-jobs.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import type { AnyObject, Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aCronJob, aDeployment } from '../support/workload-builders.ts';

const startedAt = new Date();
const cluster = connectToCluster();
const { kube, source, images, tools, processes } = cluster;
const NAME = 'backup-image-registry-pull';
const SOURCE = { apiVersion: 'v1', kind: 'Secret', namespace: CONTROLLER_NAMESPACE, name: NAME } as const;
const COMPONENT = join(ROOT, 'config/components/pull-secret/rbac.yaml');
const { reference } = images.singleManifest;

let controller: Controller;
let locked: Registry;
let namespace: string;

async function findSecret(): Promise<AnyObject | undefined> {
  return kube.get({ ...SOURCE, namespace });
}

const configOf = (secret: AnyObject | undefined): unknown =>
  (secret?.['data'] as Record<string, unknown> | undefined)?.['.dockerconfigjson'];

function pullSecretsOf({ spec }: Workload): readonly string[] {
  return (spec.template.spec.imagePullSecrets ?? []).map(({ name }) => name);
}

/** Puts the Secret beside the controller. */
async function provide(registry: Pick<Registry, 'host' | 'url' | 'logFile' | 'credentials'>): Promise<void> {
  await kube.apply(aPullSecret({ namespace: CONTROLLER_NAMESPACE, name: NAME }, registry));
}

async function deploy(options: Partial<Parameters<typeof aDeployment>[0]> = {}): Promise<Workload> {
  return kube.create(aDeployment({ namespace, images: [reference], ...options }));
}

const copy = (): string => copyOf(images.singleManifest, `${locked.host}/pull`);

beforeAll(async () => {
  // Wants credentials that the controller has, and the nodes have not.
  locked = await startRegistry({ tools, processes, name: 'pull-secret', auth: true });
  await installController(cluster, {
    REGISTRY_PREFIX: `${locked.host}/pull`,
    INSECURE_REGISTRIES: `${source.host},${locked.host}`,
    REQUEUE_AFTER: '1s',
    WORKLOAD_KINDS: 'Deployment,CronJob',
    PULL_SECRET: NAME,
  });
  await kubectl(cluster, 'apply', '-f', COMPONENT);
  await provide(locked);
  controller = await startController(cluster, { name: 'pull-secret', registries: [locked] });
});

afterAll(async () => {
  await controller.program.stop();
  await changeSettings(kube, { PULL_SECRET: null, WORKLOAD_KINDS: null });
  await kube.delete(SOURCE);
  await kubectl(cluster, 'delete', '--ignore-not-found', '-f', COMPONENT);
});

beforeEach(async () => {
  await provide(locked);
  namespace = await cluster.createNamespace('pull');
});

describe('a swapped workload', () => {
  it('gets the Secret, and names it together with the copies', async () => {
    const web = await waitForImages(kube, await deploy(), [copy()]);
    expect(pullSecretsOf(web)).toEqual([NAME]);
    const secret = await findSecret();
    expect(configOf(secret)).toBe(configOf(await kube.get(SOURCE)));
    expect(secret?.metadata.labels).toEqual({
      'backup-image-registry/pull-secret-of': CONTROLLER_NAMESPACE,
    });
    expect(secret?.['type']).toBe('kubernetes.io/dockerconfigjson');
    // One rollout for both.
    expect(web.metadata.generation).toBe(2);
  });

  it('keeps the entries that the user wrote, also one of that name', async () => {
    await kube.create(aPullSecret({ namespace, name: 'mine' }, source));
    const web = await waitForImages(kube, await deploy({ pullSecrets: ['mine', NAME] }), [copy()]);
    expect(pullSecretsOf(web)).toEqual(['mine', NAME]);
    expect(web.metadata.annotations?.['backup-image-registry/status']).not.toContain('pullSecret');
  });

  it('may be a CronJob, whose next run pulls the copy', async () => {
    const cronJob = await kube.create(aCronJob({ namespace, images: [reference] }));
    const swapped = await waitFor(
      async () => {
        const now = await readCronJob(kube, cronJob);
        return imagesOfRuns(now)[0] === copy() ? now : undefined;
      },
      { what: 'the CronJob to be swapped' },
    );
    await waitForRun(kube, await startRun(kube, swapped));
  });
});

describe('the Secret that is handed out', () => {
  it('follows the one beside the controller, and comes back when somebody deletes it', async () => {
    await waitForImages(kube, await deploy(), [copy()]);
    const credentials = { user: 'rotated', password: 'rotated' };
    await provide({ ...locked, credentials });
    const rotated = configOf(await kube.get(SOURCE));
    await waitFor(async () => configOf(await findSecret()) === rotated, { what: 'the new credentials' });
    await kube.delete({ ...SOURCE, namespace });
    await waitFor(async () => configOf(await findSecret()) === rotated, { what: 'the Secret again' });
  });

  it('goes with the last workload that needs it', async () => {
    const web = await waitForImages(kube, await deploy(), [copy()]);
    const api = await waitForImages(kube, await deploy({ name: 'api' }), [copy()]);
    await kube.delete(referenceTo(web));
    await waitFor(async () => (await kube.get(referenceTo(web))) === undefined, { what: 'web to be gone' });
    expect(await findSecret()).toBeDefined();
    await kube.delete(referenceTo(api));
    await waitFor(async () => (await findSecret()) === undefined, { what: 'the Secret to be gone' });
  });

  it('stays, and follows, for workloads that the controller must not look at any more', async () => {
    await waitForImages(kube, await deploy(), [copy()]);
    const rotate = async (user: string): Promise<void> => {
      await provide({ ...locked, credentials: { user, password: user } });
      const rotated = configOf(await kube.get(SOURCE));
      await waitFor(async () => configOf(await findSecret()) === rotated, { what: 'the new credentials' });
    };
    await changeSettings(kube, { NAMESPACES_EXCLUDE_LIST: namespace });
    await rotate('first');
    await changeSettings(kube, { NAMESPACES_EXCLUDE_LIST: null, WORKLOAD_KINDS: 'CronJob' });
    await rotate('second');
    await changeSettings(kube, { WORKLOAD_KINDS: 'Deployment,CronJob' });
  });
});

describe('a workload is not swapped, and its owner is told why', () => {
  it('when the namespace has a Secret of that name, until that is gone', async () => {
    const foreign = await kube.create(aPullSecret({ namespace, name: NAME }, source));
    const web = await deploy();
    await waitForRollout(kube, web);
    expect(await waitForEvent(kube, web, 'PullSecretConflict')).toMatch(/not overwritten\. Delete it/);
    expect(imagesOf(await read(kube, web))).toEqual([reference]);
    expect((await findSecret())?.metadata.uid).toBe(foreign.metadata.uid);
    await kube.delete(referenceTo(foreign));
    await waitForImages(kube, web, [copy()]);
  });

  it('when there is no Secret beside the controller, until there is', async () => {
    await kube.delete(SOURCE);
    const web = await deploy();
    await waitForRollout(kube, web);
    expect(await waitForEvent(kube, web, 'PullSecretMissing')).toMatch(
      /in the namespace backup-image-registry does not exist\. Create it there/,
    );
    expect(imagesOf(await read(kube, web))).toEqual([reference]);
    await provide(locked);
    await waitForImages(kube, web, [copy()]);
  });

  it('when the controller may not create it', async () => {
    const text = await readFile(COMPONENT, 'utf8');
    const file = join(processes.folder, 'less.yaml');
    await writeFile(file, text.replace('verbs: [create]', 'verbs: [get]'));
    await kubectl(cluster, 'apply', '-f', file);
    const web = await deploy();
    await waitForRollout(kube, web);
    expect(await waitForEvent(kube, web, 'PullSecretForbidden')).toMatch(
      /cannot create resource "secrets".*Apply config\/components\/pull-secret/,
    );
    expect(imagesOf(await read(kube, web))).toEqual([reference]);
    await kubectl(cluster, 'apply', '-f', COMPONENT);
  });
});

it('takes its entry and the Secret away when the swap is undone', async () => {
  await provide({ ...locked, credentials: { user: 'wrong', password: 'wrong' } });
  const plain = aDeployment({ namespace, images: [reference] });
  const web = await createAndRollOut(kube, {
    ...plain,
    spec: { ...plain.spec, strategy: { type: 'Recreate' } },
  });
  await waitForEvent(kube, web, 'SwapRolledBack');
  const restored = await waitForRollout(kube, web);
  expect(restored.spec.template).toEqual(web.spec.template);
  await waitFor(async () => (await findSecret()) === undefined, { what: 'the Secret to be gone' });
});

it('asks for no more and no less about Secrets than the component grants', async () => {
  const asked = await readAuditLog(cluster.auditLogFile, { since: startedAt });
  const used = [...listUsed(asked)].filter((text) => text.endsWith(' secrets.'));
  const objects = parseAllDocuments(await readFile(COMPONENT, 'utf8')).map((one) => one.toJS() as AnyObject);
  const granted = listGranted(objects.flatMap(({ rules = [] }) => rules as readonly Rule[]));
  // Asked for only where the API server cannot stream the objects of a list.
  expect(used.toSorted()).toEqual(granted.filter((text) => text !== 'list secrets.').toSorted());
});

it('without PULL_SECRET hints at credentials that the nodes may lack', async () => {
  await changeSettings(kube, { PULL_SECRET: null });
  const web = await deploy();
  await waitForRollout(kube, web);
  expect(await waitForEvent(kube, web, 'ImageSwapped')).toMatch(/PULL_SECRET has to be set/);
  await waitForEvent(kube, web, 'SwapRolledBack');
  expect((await listEvents(kube, web)).map(({ reason }) => reason).toSorted()).toEqual([
    'ImageSwapped',
    'SwapRolledBack',
  ]);
});
