import { beforeEach, expect, it } from 'vitest';

import type { RolloutBudget } from '../../../src/reconcile/rollouts/rollout-budget.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aBudget } from '../../support/a-budget.ts';
import { aSlot, aWorkload, someSettings } from '../../support/builders.ts';
import { LINEAR, measureGrowth } from '../../support/growth.ts';

const COPY = 'backup.example/p/docker.io/library/nginx:1.27';

let called: string[];
let nowMs: number;

function createBudget(maxRollouts: number, { isLeading = true } = {}): RolloutBudget {
  const settings = someSettings({ MAX_CONCURRENT_ROLLOUTS: `${maxRollouts}` });
  const budget = aBudget(() => settings, {
    nowMs: () => nowMs,
    onFree: (key) => called.push(key.slice(key.lastIndexOf('/') + 1)),
  });
  if (isLeading) {
    budget.start();
  }
  return budget;
}

function inShop(name: string): Workload {
  return aWorkload({ name, namespace: 'shop' });
}

/** A workload of it runs from the backup. */
function prove(budget: RolloutBudget, ...namespaces: readonly string[]): void {
  for (const namespace of namespaces) {
    const proof = aWorkload({ name: 'proof', namespace, slots: [aSlot(COPY)] });
    budget.observe(formatWorkloadKey(proof), proof);
  }
}

function reserve(budget: RolloutBudget, workload: Workload, isUrgent = false): boolean {
  return budget.tryReserve(formatWorkloadKey(workload), workload, { isUrgent });
}

function endRollout(budget: RolloutBudget, { name, namespace }: Workload): void {
  const rolledOut = aWorkload({ name, namespace, rollout: { generation: 5, observedGeneration: 5 } });
  budget.observe(formatWorkloadKey(rolledOut), rolledOut);
}

beforeEach(() => {
  called = [];
  nowMs = 1_700_000_000_000;
});

it('whoever was called in vain, because another namespace was faster, is called again', () => {
  const budget = createBudget(3);
  prove(budget, 'shop', 'far');
  reserve(budget, inShop('a'));
  reserve(budget, inShop('b'));
  budget.waitForPermit(inShop('c'), 'swap');
  expect(reserve(budget, aWorkload({ name: 'far', namespace: 'far' }))).toBe(true);
  expect(reserve(budget, inShop('c'))).toBe(false);
  budget.waitForPermit(inShop('c'), 'swap');
  endRollout(budget, inShop('a'));
  expect(called).toEqual(['c', 'c']);
});

it('who was called and is rescued leaves the place to the next one', () => {
  const budget = createBudget(1);
  prove(budget, 'shop', 'far');
  reserve(budget, inShop('a'));
  budget.waitForPermit(inShop('b'), 'swap');
  endRollout(budget, inShop('a'));
  budget.waitForPermit(aWorkload({ name: 'far', namespace: 'far' }), 'swap');
  reserve(budget, inShop('b'), true);
  expect(called).toEqual(['b', 'far']);
});

it('only one of a namespace in which no swap has succeeded is called', () => {
  const budget = createBudget(5);
  for (const name of ['a', 'b', 'c']) {
    budget.waitForPermit(inShop(name), 'swap');
  }
  expect(called).toEqual(['a']);
});

it(
  'the share of a namespace is kept for a minute after its last rollout began',
  { tags: 'attack-share' },
  () => {
    const budget = createBudget(5);
    prove(budget, 'shop', 'far');
    const far = aWorkload({ name: 'far', namespace: 'far' });
    reserve(budget, far);
    endRollout(budget, far);
    const names = ['a', 'b', 'c', 'd', 'e'];
    expect(names.filter((name) => reserve(budget, inShop(name)))).toEqual(['a', 'b', 'c']);
    nowMs += 59_999;
    expect(reserve(budget, inShop('d'))).toBe(false);
    nowMs += 1;
    expect([reserve(budget, inShop('d')), reserve(budget, inShop('e'))]).toEqual([true, true]);
  },
);

it('a process that begins to lead keeps the shares of namespaces with something to swap', () => {
  const budget = createBudget(5, { isLeading: false });
  prove(budget, 'shop', 'done');
  const far = aWorkload({ name: 'far', namespace: 'far' });
  budget.observe(formatWorkloadKey(far), far);
  budget.start();
  const names = ['a', 'b', 'c', 'd', 'e'];
  expect(names.filter((name) => reserve(budget, inShop(name)))).toEqual(['a', 'b', 'c']);
});

it('looks at nobody of a namespace that has no room', { tags: 'attack-share' }, () => {
  const growth = measureGrowth({
    size: 500,
    prepare: (size) => {
      const budget = createBudget(1);
      prove(budget, 'shop');
      reserve(budget, inShop('a'));
      return { budget, waiting: Array.from({ length: size }, (_, index) => inShop(`w${index}`)) };
    },
    work: ({ budget, waiting }) => {
      for (const workload of waiting) {
        budget.waitForPermit(workload, 'swap');
      }
    },
  });
  expect(growth).toBeLessThan(LINEAR);
});

it('asks for a turn in a time that does not grow with the rollouts of a namespace', () => {
  const growth = measureGrowth({
    size: 200,
    prepare: (size) => {
      const budget = createBudget(1000);
      const rolling = Array.from({ length: size }, (_, index) => inShop(`w${index}`));
      prove(budget, 'shop');
      for (const workload of rolling) {
        reserve(budget, workload);
      }
      return { budget, rolling };
    },
    work: ({ budget, rolling }) => rolling.map((workload) => budget.findReasonToWait(workload)),
  });
  expect(growth).toBeLessThan(LINEAR);
});
