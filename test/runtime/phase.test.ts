import { describe, expect, it } from 'vitest';

import { CurrentPhase, type Phase, type PhaseFacts, planPhase } from '../../src/runtime/phase.ts';

const NOTHING: PhaseFacts = { isAllKnown: false, hasLease: false };

describe('the phase that follows', () => {
  it.each<[Phase, PhaseFacts, Phase]>([
    ['starting', NOTHING, 'starting'],
    // The holder of the Lease whose ConfigMap is invalid.
    ['starting', { ...NOTHING, hasLease: true }, 'starting'],
    ['starting', { ...NOTHING, isAllKnown: true }, 'standby'],
    ['starting', { isAllKnown: true, hasLease: true }, 'leading'],
    ['standby', { isAllKnown: true, hasLease: true }, 'leading'],
    // An edit adds a kind, whose workloads are not known yet.
    ['standby', NOTHING, 'starting'],
    ['standby', { ...NOTHING, hasLease: true }, 'starting'],
    ['leading', { ...NOTHING, hasLease: true }, 'leading'],
    ['leading', { ...NOTHING, isAllKnown: true }, 'leading'],
    ['draining', { isAllKnown: true, hasLease: true }, 'draining'],
  ])('%s, with %o, is %s', (before, facts, after) => {
    expect(planPhase(before, facts)).toBe(after);
  });
});

it('tells once that a phase begins', () => {
  let facts = NOTHING;
  const phase = new CurrentPhase(() => facts);
  expect([phase.current, phase.advance()]).toEqual(['starting', undefined]);
  facts = { isAllKnown: true, hasLease: true };
  expect([phase.advance(), phase.advance(), phase.current]).toEqual(['leading', undefined, 'leading']);
});

it('does not begin to work once it is being stopped, even if it gets the Lease meanwhile', () => {
  const phase = new CurrentPhase(() => ({ isAllKnown: true, hasLease: true }));
  expect([phase.drain(), phase.advance(), phase.current]).toEqual(['starting', undefined, 'draining']);
});
