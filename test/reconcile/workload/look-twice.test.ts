import { beforeEach, expect, it } from 'vitest';

import { TooLargeError } from '../../../src/errors.ts';
import type { CopyRequest, CopyState } from '../../../src/reconcile/copies/copy-state.ts';
import { decide } from '../../../src/reconcile/decide/decide.ts';
import { WorkloadMemories } from '../../../src/reconcile/memory/workload-memories.ts';
import { knowWorkload } from '../../../src/reconcile/workload/known-workload.ts';
import { type LookDeps, lookTwice } from '../../../src/reconcile/workload/look-twice.ts';
import type { Pod, Workload } from '../../../src/workloads/workload.ts';
import {
  DIGEST,
  OTHER_DIGEST,
  aPodOf,
  aSlot,
  aWorkload,
  annotationsOf,
  someSettings,
} from '../../support/builders.ts';
import { byKind } from '../../support/decisions.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const web = aWorkload();
const signal = new AbortController().signal;

let nowMs: number;
/** As the watch shows them, and as they are. */
let watched: readonly Pod[];
let listed: readonly Pod[];
let lists: number;
let isTooLarge: boolean;
/** Of every look. */
let wanted: (readonly CopyRequest[])[];
let copy: CopyState | undefined;
let look: (workload?: Workload) => ReturnType<typeof lookTwice>;

function twoPods(digest: string): readonly Pod[] {
  return [aPodOf(web, digest), aPodOf(web, digest)];
}

beforeEach(() => {
  nowMs = 1_700_000_000_000;
  [watched, listed] = [twoPods(DIGEST), twoPods(DIGEST)];
  [lists, isTooLarge, wanted, copy] = [0, false, [], undefined];
  const deps: LookDeps = {
    workloads: { findNamespacePolicy: () => undefined },
    pods: { listOf: () => watched },
    client: {
      listPods: async () => {
        lists += 1;
        if (isTooLarge) {
          throw new TooLargeError('its pods take too much');
        }
        return listed;
      },
      listNodePlatforms: async () => [],
      listFormerTemplates: async () => [],
    },
    copies: {
      get: ({ digest, reported }) => ((digest ?? reported?.[0]) === DIGEST ? copy : undefined),
      want: (_, requests) => wanted.push(requests),
    },
    budget: { isFree: () => true, findReasonToWait: () => undefined },
    pullSecrets: { wanted: undefined, findProblem: () => undefined },
    settings: () => someSettings(),
    nowMs: () => nowMs,
  };
  const memory = new WorkloadMemories(deps.nowMs).of(web);
  look = (workload = web) => lookTwice(deps, knowWorkload(workload, memory), signal);
});

function digests(): readonly (string | undefined)[] {
  return wanted.flat().flatMap(({ reported = [] }) => reported);
}

it('what is watched tells what to copy, and nothing is listed', async () => {
  const facts = await look();
  expect([byKind(decide(facts)).swap, lists, digests()]).toEqual([undefined, 0, [DIGEST]]);
});

it('a swap is made of what was listed, once', async () => {
  copy = { phase: 'verified', digest: DIGEST, image: COPY };
  const facts = await look();
  expect(byKind(decide(facts)).swap?.patch.slots).toMatchObject([{ image: COPY }]);
  expect([lists, digests()]).toEqual([1, [DIGEST, DIGEST]]);
});

it('none is made of what ran before: what runs now is copied first', async () => {
  copy = { phase: 'verified', digest: DIGEST, image: COPY };
  listed = twoPods(OTHER_DIGEST);
  const facts = await look();
  expect([byKind(decide(facts)).swap, digests()]).toEqual([undefined, [DIGEST, OTHER_DIGEST]]);
});

it('that a swap has succeeded is said only of pods that were listed', async () => {
  copy = { phase: 'verified', digest: DIGEST, image: COPY };
  const record = {
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', COPY]]),
    before: new Map([['app', 'nginx:1.27']]),
    swappedAtMs: nowMs - 60_000,
  };
  listed = [];
  const facts = await look(aWorkload({ slots: [aSlot(COPY)], annotations: annotationsOf(record) }));
  expect([lists, byKind(decide(facts))['confirm swap']]).toEqual([1, undefined]);
});

it('a watch that has shown something old is not believed until it had time to catch up', async () => {
  copy = { phase: 'verified', digest: DIGEST, image: COPY };
  listed = twoPods(OTHER_DIGEST);
  await look();
  wanted = [];
  nowMs += 9_000;
  await look();
  expect(digests()).toEqual([OTHER_DIGEST]);
  wanted = [];
  nowMs += 1_000;
  watched = listed;
  copy = undefined;
  await look();
  expect([digests(), lists]).toEqual([[OTHER_DIGEST], 2]);
});

it('while the watch is behind the workload, every look lists', async () => {
  watched = [];
  await look();
  await look();
  expect([lists, digests()]).toEqual([2, [DIGEST, DIGEST]]);
});

it(
  'what is too large to be listed wants no copy again at every change of a pod',
  { tags: 'attack-size' },
  async () => {
    copy = { phase: 'verified', digest: DIGEST, image: COPY };
    isTooLarge = true;
    await expect(look()).rejects.toThrow('too much');
    wanted = [];
    await expect(look()).rejects.toThrow('too much');
    expect([wanted, lists]).toEqual([[], 2]);
  },
);
