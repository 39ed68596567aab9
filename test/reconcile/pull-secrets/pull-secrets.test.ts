import { beforeEach, describe, expect, it } from 'vitest';

import { ConflictError, WriteDeniedError } from '../../../src/errors.ts';
import type { ObjectEvent } from '../../../src/reconcile/events/object-event.ts';
import type { PullSecret } from '../../../src/reconcile/ports.ts';
import { PullSecrets } from '../../../src/reconcile/pull-secrets/pull-secrets.ts';
import { parseRecord } from '../../../src/workloads/record.ts';
import { toLeftAlone } from '../../../src/workloads/too-large.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { annotationsOf, aWorkload } from '../../support/builders.ts';

const signal = new AbortController().signal;
const KEY = 'Deployment/shop/web';

/** By namespace. */
let found: Map<string, PullSecret>;
let state: 'known' | 'loading' | 'forbidden';
let workloads: Workload[];
let told: ObjectEvent[];
let denial: Error | undefined;
let wanted: string | undefined;
let nowMs: number;
let secrets: PullSecrets;

function put(namespace: string, parts: Partial<PullSecret> = {}): void {
  const identity = { namespace, name: 'pull', uid: `uid-${namespace}`, resourceVersion: '1' };
  found.set(namespace, { ...identity, isOurs: true, config: 'e30=', usedBy: [], ...parts });
}

beforeEach(() => {
  found = new Map();
  put('backup', { isOurs: false });
  state = 'known';
  workloads = [];
  told = [];
  denial = undefined;
  wanted = 'pull';
  nowMs = 0;
  secrets = new PullSecrets({
    store: { state: () => state, get: (namespace) => found.get(namespace), list: () => [...found.values()] },
    client: {
      create: async ({ namespace }, content) => {
        if (denial) {
          throw denial;
        }
        put(namespace, content);
      },
      update: async ({ namespace }, content) => put(namespace, content),
      remove: async ({ namespace }) => {
        found.delete(namespace);
      },
    },
    listWorkloads: (namespace) => workloads.filter((workload) => workload.namespace === namespace),
    canSee: () => true,
    wanted: () => wanted,
    ownNamespace: 'backup',
    events: { record: (_, event) => told.push(event) },
    nowMs: () => nowMs,
  });
});

const record = { ...parseRecord({}), swappedAtMs: 1, pullSecret: 'pull' };
const swapped = aWorkload({ pullSecrets: ['pull'], annotations: annotationsOf(record) });

it('is there before the workload names it, and stays until that is seen', async () => {
  await secrets.prepare(aWorkload(), signal);
  expect(found.get('shop')).toMatchObject({ config: 'e30=', usedBy: ['Deployment'] });
  expect(await secrets.reconcile('shop', signal)).toEqual({ requeueAfterMs: 60_000 });
  workloads = [swapped];
  expect(secrets.observe(KEY, swapped)).toBe('shop');
  expect(await secrets.reconcile('shop', signal)).toEqual({});
  expect(found.has('shop')).toBe(true);
});

it('goes when no workload has come to name it', async () => {
  await secrets.prepare(aWorkload(), signal);
  nowMs = 60_000;
  await secrets.reconcile('shop', signal);
  expect(found.has('shop')).toBe(false);
});

it('goes with the last workload', async () => {
  put('shop');
  workloads = [swapped];
  await secrets.reconcile('shop', signal);
  workloads = [];
  expect(secrets.observe(KEY, undefined)).toBe('shop');
  await secrets.reconcile('shop', signal);
  expect(found.has('shop')).toBe(false);
});

it('goes with a workload that is deleted right after it was prepared', async () => {
  await secrets.prepare(aWorkload(), signal);
  expect(secrets.observe(KEY, undefined)).toBe('shop');
  await secrets.reconcile('shop', signal);
  expect(found.has('shop')).toBe(false);
});

it('goes although the user names it, as long as no copy is pulled with it', async () => {
  put('shop');
  workloads = [aWorkload({ pullSecrets: ['pull'] })];
  await secrets.reconcile('shop', signal);
  expect(found.has('shop')).toBe(false);
});

it('stays for an entry of the user with which copies are pulled', async () => {
  put('shop');
  const copies = new Map([['app', 'backup.example/p/nginx']]);
  const annotations = annotationsOf({ ...parseRecord({}), swappedAtMs: 1, copies });
  workloads = [aWorkload({ pullSecrets: ['pull'], annotations })];
  await secrets.reconcile('shop', signal);
  expect(found.get('shop')?.usedBy).toEqual(['Deployment']);
});

it('is not made in the namespace of the controller, which has the source', async () => {
  const own = aWorkload({ namespace: 'backup' });
  expect(secrets.findProblem(own)).toBeUndefined();
  await secrets.prepare(own, signal);
  await secrets.reconcile('backup', signal);
  expect(found.get('backup')?.isOurs).toBe(false);
});

it('is waited for while it is not known what there is', async () => {
  state = 'loading';
  expect(secrets.findProblem(aWorkload())).toBeUndefined();
  await expect(secrets.prepare(aWorkload(), signal)).rejects.toThrow(ConflictError);
  expect(found.has('shop')).toBe(false);
});

it('that may not be created is a matter for the user', async () => {
  denial = new WriteDeniedError('forbidden');
  await expect(secrets.prepare(aWorkload(), signal)).rejects.toThrow(WriteDeniedError);
  expect(told).toMatchObject([{ reason: 'PullSecretForbidden' }]);
});

it('is nobody’s business without PULL_SECRET', async () => {
  wanted = undefined;
  put('shop');
  expect(secrets.findProblem(aWorkload())).toBeUndefined();
  expect(secrets.observe(KEY, swapped)).toBeUndefined();
  await secrets.prepare(aWorkload(), signal);
  await secrets.reconcile('shop', signal);
  expect(found.has('shop')).toBe(true);
});

/** A workload that counts how often its record is read. */
function aCountedWorkload(name: string, pullSecrets: readonly string[]) {
  let reads = 0;
  const annotations = {
    get 'backup-image-registry/status'() {
      reads += 1;
      return '{"v":1,"pullSecret":"pull"}';
    },
  };
  return { workload: { ...aWorkload({ name, pullSecrets }), annotations }, countReads: () => reads };
}

it('reads no record twice, and none of those that do not name it', { tags: 'attack-size' }, async () => {
  const users = Array.from({ length: 10 }, (_, n) => aCountedWorkload(`user-${n}`, ['pull']));
  const other = aCountedWorkload('other', ['other']);
  workloads = [...users, other].map(({ workload }) => workload);
  put('shop', { usedBy: ['Deployment'] });
  for (let n = 0; n < 3; n += 1) {
    for (const { workload } of users) {
      secrets.observe(`Deployment/shop/${workload.name}`, workload);
    }
    await secrets.reconcile('shop', signal);
  }
  expect(found.get('shop')).toBeDefined();
  expect(users.map(({ countReads }) => countReads())).toEqual(users.map(() => 1));
  expect(other.countReads()).toBe(0);
});

describe('for a workload that is left alone as too large, of which nobody knows what it names', () => {
  it('stays, and follows its source', { tags: 'attack-size' }, async () => {
    put('shop', { usedBy: ['Deployment'] });
    workloads = [toLeftAlone(aWorkload(), 'it is too large')];
    await secrets.reconcile('shop', signal);
    expect(found.get('shop')).toMatchObject({ config: 'e30=' });
    put('backup', { isOurs: false, config: 'eyJ9' });
    await secrets.reconcile('shop', signal);
    expect(found.get('shop')).toMatchObject({ config: 'eyJ9', usedBy: ['Deployment'] });
  });

  it('is not made', { tags: 'attack-secret' }, async () => {
    workloads = [toLeftAlone(aWorkload(), 'it is too large')];
    await secrets.reconcile('shop', signal);
    expect(found.get('shop')).toBeUndefined();
  });
});
