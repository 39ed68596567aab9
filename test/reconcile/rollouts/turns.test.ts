import { describe, expect, it } from 'vitest';

import {
  type Risk,
  type TurnFacts,
  findRisk,
  findRolloutWait,
} from '../../../src/reconcile/rollouts/turns.ts';
import { aWorkload } from '../../support/builders.ts';

describe("it is a workload's turn", () => {
  const facts: TurnFacts = {
    isStopped: false,
    freePermits: 1,
    isNamespaceProven: false,
    isNamespaceRolling: false,
  };

  it.each<[string, Partial<TurnFacts>, ReturnType<typeof findRolloutWait>]>([
    ['when a permit is free', {}, undefined],
    [
      'when others of a proven namespace roll',
      { isNamespaceRolling: true, isNamespaceProven: true },
      undefined,
    ],
    [
      'not while another one tries it for the namespace',
      { isNamespaceRolling: true },
      'first swap of the namespace',
    ],
    ['not while no permit is free', { freePermits: 0 }, 'too many rollouts'],
    ['not while there are more rollouts than permits', { freePermits: -2 }, 'too many rollouts'],
    ['not while swapping is stopped', { isStopped: true }, 'swapping stopped'],
  ])('%s', (_, parts, reason) => {
    expect(findRolloutWait({ ...facts, ...parts })).toBe(reason);
  });
});

describe('a copy that cannot be pulled would cost', () => {
  it.each<[string, Parameters<typeof aWorkload>[0], Risk]>([
    ['a Deployment with two pods nothing', { rollout: { desired: 2 } }, 'other pods serve on'],
    ['a Deployment with one pod perhaps that', { rollout: { desired: 1 } }, 'one pod'],
    [
      'a StatefulSet with three pods one that is ended first',
      { kind: 'StatefulSet', rollout: { desired: 3 } },
      'one pod',
    ],
    ['a DaemonSet a pod of a node', { kind: 'DaemonSet' }, 'a pod of every node'],
    ['a Deployment that recreates its pods all of them', { rollout: { recreate: true } }, 'no pod serves'],
  ])('%s', (_, parts, risk) => {
    expect(findRisk(aWorkload(parts))).toBe(risk);
  });
});
