import { describe, expect, it } from 'vitest';

import { CopyStore } from '../../../src/reconcile/copies/copy-store.ts';
import { WorkloadMemories } from '../../../src/reconcile/memory/workload-memories.ts';
import { type FactDeps, collectFacts } from '../../../src/reconcile/workload/collect-facts.ts';
import { knowWorkload } from '../../../src/reconcile/workload/known-workload.ts';
import { NO_WATCHED_PODS } from '../../../src/reconcile/workload/watched-pods.ts';
import { readSlots } from '../../../src/reconcile/workload/read-slots.ts';
import { decide } from '../../../src/reconcile/decide/decide.ts';
import type { WorkloadMemory } from '../../../src/reconcile/memory/workload-memory.ts';
import type { SwapRecord } from '../../../src/workloads/record.ts';
import type { Pod, Workload } from '../../../src/workloads/workload.ts';
import { DIGEST, aSlot, aWorkload, annotationsOf, someSettings } from '../../support/builders.ts';
import { byKind } from '../../support/decisions.ts';

const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const SWAPPED_AT_MS = 1_700_000_000_000;
const RECORD: SwapRecord = {
  originals: new Map([['app', 'nginx:1.27']]),
  copies: new Map([['app', COPY]]),
  before: new Map([['app', 'nginx:1.27']]),
  swappedAtMs: SWAPPED_AT_MS,
};
const TEMPLATES = [
  { hash: 'old', slots: [aSlot('nginx:1.27')], annotations: {} },
  { hash: 'new', slots: [aSlot(COPY)], annotations: {} },
];

let asked: string[];
let memory: WorkloadMemory;

/** The facts of a workload in a cluster that has these pods, and says what it was asked for. */
async function gather(
  workload: Workload,
  pods: readonly Pod[],
  { remembered = {}, ...deps }: Partial<FactDeps> & { readonly remembered?: Partial<WorkloadMemory> } = {},
) {
  asked = [];
  const signal = new AbortController().signal;
  const all: FactDeps = {
    workloads: { findNamespacePolicy: () => undefined },
    client: {
      listPods: async () => {
        asked.push('pods');
        return pods;
      },
      listNodePlatforms: async () => [],
      listFormerTemplates: async () => {
        asked.push('ReplicaSets');
        return TEMPLATES;
      },
    },
    pods: NO_WATCHED_PODS,
    copies: new CopyStore({ onWanted: () => undefined, onSettled: () => undefined }),
    budget: { isFree: () => true, findReasonToWait: () => undefined },
    pullSecrets: { wanted: undefined, findProblem: () => undefined },
    settings: () => someSettings(),
    nowMs: () => SWAPPED_AT_MS + 60_000,
    ...deps,
  };
  memory = { ...new WorkloadMemories(all.nowMs).of(workload), ...remembered };
  const known = knowWorkload(workload, memory);
  return collectFacts(all, await readSlots(all, known, signal), signal);
}

function swapped(rollout: Parameters<typeof aWorkload>[0]): Workload {
  return aWorkload({ slots: [aSlot(COPY)], annotations: annotationsOf(RECORD), ...rollout });
}

function aPod(hash: string, image: string): Pod {
  const waiting = { reason: 'ImagePullBackOff', message: 'no such host' };
  return {
    name: `web-${hash}-x`,
    made: { uid: `uid-${hash}`, by: { uid: 'uid-replicas', name: `web-${hash}` } },
    template: hash,
    createdAtMs: SWAPPED_AT_MS,
    ready: hash === 'old',
    containers: [{ name: 'app', image, imageId: '', ...(hash === 'new' && { waiting }) }],
  };
}

describe('a swap that rolls out', () => {
  const workload = swapped({ rollout: { current: 3, updated: 1 } });

  it('needs no ReplicaSets as long as the images of its pods tell which template they are of', async () => {
    await gather(workload, [aPod('old', 'nginx:1.27'), aPod('new', COPY)]);
    expect(asked).toEqual(['pods']);
  });

  it('needs them once where admission has changed the images of pods, and is undone when those cannot be pulled', async () => {
    const mirrored = COPY.replace('backup.example', 'mirror.example');
    const facts = await gather(workload, [aPod('old', 'nginx:1.27'), aPod('new', mirrored)]);
    expect(asked).toEqual(['pods', 'ReplicaSets']);
    expect(facts.newestTemplates).toEqual(new Set(['new']));
    expect(byKind(decide(facts)).undo?.event.note).toContain('no such host');
    await gather(workload, [aPod('new', mirrored)], { remembered: memory });
    expect(asked).toEqual(['pods']);
    const { rollout } = workload;
    for (const observedGeneration of [1, 2]) {
      const changed = { ...workload, rollout: { ...rollout, generation: 2, observedGeneration } };
      await gather(changed, [aPod('new', mirrored)], { remembered: memory });
      expect(asked).toEqual(['pods', 'ReplicaSets']);
    }
  });
});

describe('a swap that is rolled out', () => {
  it('has its pods looked at once, for they alone show what runs', async () => {
    await gather(swapped({}), []);
    expect(asked).toEqual(['pods']);
    await gather(swapped({}), [], {
      remembered: { seenSwap: { swappedAtMs: SWAPPED_AT_MS, seenAtMs: SWAPPED_AT_MS } },
    });
    expect(asked).toEqual([]);
  });

  it('has not when it is long over', async () => {
    await gather(swapped({}), [], { nowMs: () => SWAPPED_AT_MS + 3_600_000 });
    expect(asked).toEqual([]);
  });
});

describe('the pods that show what a workload runs', () => {
  const runningPods = { generation: 1, pods: [] };

  it.each([
    ['stay in mind while they tell what to copy', 'swap', true],
    ['are forgotten while nothing is copied', 'observe', false],
  ])('%s', async (_, mode, isKept) => {
    const settings = () => someSettings({ MODE: mode });
    await gather(aWorkload(), [], { settings, remembered: { runningPods } });
    expect(memory.runningPods !== undefined).toBe(isKept);
  });
});

it('a policy that is written on the namespace while the pods are listed counts at once', async () => {
  let policy: string | undefined;
  const facts = await gather(aWorkload(), [], {
    workloads: { findNamespacePolicy: () => policy },
    client: {
      listPods: async () => {
        policy = 'copy';
        return [];
      },
      listNodePlatforms: async () => [],
      listFormerTemplates: async () => [],
    },
  });
  expect(facts.policy).toMatchObject({ policy: 'copy', from: 'namespace' });
});
