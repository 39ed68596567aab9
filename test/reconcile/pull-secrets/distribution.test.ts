import { describe, expect, it } from 'vitest';

import {
  type DistributionFacts,
  type ProblemFacts,
  planDistribution,
  planProblemEvent,
} from '../../../src/reconcile/pull-secrets/distribution.ts';
import type { PullSecret } from '../../../src/reconcile/ports.ts';

function aSecret(parts: Partial<PullSecret> = {}): PullSecret {
  return {
    namespace: 'shop',
    name: 'pull',
    uid: 'uid-1',
    resourceVersion: '1',
    isOurs: true,
    config: 'e30=',
    usedBy: ['Deployment'],
    ...parts,
  };
}

const SOURCE = aSecret({ namespace: 'backup', isOurs: false, usedBy: [] });
const { config: _, ...BROKEN } = SOURCE;
const FOREIGN = aSecret({ isOurs: false, usedBy: [] });
const USED = { isUsed: true, kinds: ['Deployment'] };
const UNUSED = { isUsed: false, kinds: [] };

function plan(facts: Partial<DistributionFacts>): unknown {
  return planDistribution({ source: SOURCE, found: undefined, use: USED, canSee: () => true, ...facts });
}

describe('the Secret of a namespace', () => {
  it('is created when a workload needs it', () => {
    expect(plan({})).toEqual({ is: 'create', content: { config: 'e30=', usedBy: ['Deployment'] } });
  });

  it('is left as it is when it is right', () => {
    expect(plan({ found: aSecret() })).toEqual({ is: 'nothing' });
  });

  it('follows its source', () => {
    const found = aSecret({ config: 'b2xk' });
    expect(plan({ found })).toMatchObject({ is: 'update', secret: found, content: { config: 'e30=' } });
  });

  it('follows its source also for a kind that cannot be seen now', () => {
    const found = aSecret({ config: 'b2xk' });
    expect(plan({ found, use: UNUSED, canSee: () => false })).toMatchObject({ is: 'update', secret: found });
  });

  it('remembers every kind that has used it', () => {
    const use = { isUsed: true, kinds: ['CronJob'] };
    expect(plan({ found: aSecret(), use })).toMatchObject({
      is: 'update',
      content: { usedBy: ['CronJob', 'Deployment'] },
    });
  });

  it('is removed when no workload needs it', () => {
    expect(plan({ found: aSecret(), use: UNUSED })).toEqual({ is: 'remove', secret: aSecret() });
    expect(plan({ use: UNUSED })).toEqual({ is: 'nothing' });
  });

  it.each<[string, Partial<DistributionFacts>]>([
    ['another one of that name is', { found: FOREIGN }],
    ['another one of that name that nobody needs is', { found: FOREIGN, use: UNUSED }],
    ['one whose source is gone is', { found: aSecret({ config: 'b2xk' }), source: undefined }],
    ['one whose source is of another type is', { found: aSecret({ config: 'b2xk' }), source: BROKEN }],
    [
      'one that a kind may need which cannot be seen is',
      { found: aSecret(), use: UNUSED, canSee: () => false },
    ],
  ])('%s left alone', (__, facts) => {
    expect(plan(facts)).toEqual({ is: 'nothing' });
  });
});

describe('why a workload cannot have it', () => {
  const FACTS: ProblemFacts = {
    name: 'pull',
    ownNamespace: 'backup',
    state: 'known',
    source: SOURCE,
    isUnmanaged: false,
    isUsersEntry: false,
  };

  it.each<[string, Partial<ProblemFacts>, string | undefined]>([
    ['nothing is wrong', {}, undefined],
    ['the Secrets are not known yet', { state: 'loading', source: undefined }, undefined],
    ['there is no source', { source: undefined }, 'PullSecretMissing'],
    ['the source is of another type', { source: BROKEN }, 'PullSecretMissing'],
    ['nothing may be read', { state: 'forbidden', source: undefined }, 'PullSecretForbidden'],
    ['the namespace has its own', { isUnmanaged: true }, 'PullSecretConflict'],
    ['the user chose the one of the namespace', { isUnmanaged: true, isUsersEntry: true }, undefined],
    ['the user chose one that is not there', { source: undefined, isUsersEntry: true }, 'PullSecretMissing'],
  ])('is said when %s', (__, facts, reason) => {
    expect(planProblemEvent({ ...FACTS, ...facts })?.reason).toBe(reason);
  });
});
