import { expect, it } from 'vitest';

import { createLivenessChecks, createReadinessChecks, type HealthParts } from '../../src/runtime/health.ts';
import { answerHealth } from '../../src/telemetry/http-server.ts';

const MINUTE_MS = 60_000;

interface State {
  readonly watchAgeMs: number;
  readonly passMs: number;
  /** Of a copy. */
  readonly overdueMs: number;
  /** Undefined: it does not lead. */
  readonly renewalAgeMs: number | undefined;
  readonly isKnown: boolean;
  readonly hasSynced: boolean;
}

const WELL: State = {
  watchAgeMs: 0,
  passMs: 0,
  overdueMs: 0,
  renewalAgeMs: 0,
  isKnown: true,
  hasSynced: true,
};

function partsIn(state: Partial<State>): HealthParts {
  const { watchAgeMs, passMs, overdueMs, renewalAgeMs, isKnown, hasSynced } = { ...WELL, ...state };
  return {
    live: { isKnown },
    workloads: { lastActivityAgeMs: () => watchAgeMs, hasSynced: () => hasSynced },
    pods: { lastActivityAgeMs: () => 0, isKnown: () => true },
    loops: { longestPassMs: () => passMs, longestOverdueMs: () => overdueMs },
    lease: { renewalAgeMs: () => renewalAgeMs },
  } as unknown as HealthParts;
}

it.each<[string, Partial<State>, string]>([
  ['all is well', {}, '[+]watch ok\n[+]loop ok\n[+]lease ok\n'],
  [
    'a watch has been quiet for as long as watches may be',
    { watchAgeMs: 14 * MINUTE_MS },
    '[+]watch ok\n[+]loop ok\n[+]lease ok\n',
  ],
  ['a watch is stuck', { watchAgeMs: 16 * MINUTE_MS }, '[-]watch failed\n[+]loop ok\n[+]lease ok\n'],
  ['a pass does not end', { passMs: 11 * MINUTE_MS }, '[+]watch ok\n[-]loop failed\n[+]lease ok\n'],
  ['a copy is ended', { overdueMs: 2 * MINUTE_MS }, '[+]watch ok\n[+]loop ok\n[+]lease ok\n'],
  [
    'a copy does not end when it is told to',
    { overdueMs: 6 * MINUTE_MS },
    '[+]watch ok\n[-]loop failed\n[+]lease ok\n',
  ],
  ['the lease of a leader is old', { renewalAgeMs: 36_000 }, '[+]watch ok\n[+]loop ok\n[-]lease failed\n'],
  ['it does not lead', { renewalAgeMs: undefined }, '[+]watch ok\n[+]loop ok\n[+]lease ok\n'],
])('is alive or not when %s, and says which part and not why', (_, state, body) => {
  expect(answerHealth(createLivenessChecks(partsIn(state)))).toMatchObject({
    status: body.includes('[-]') ? 503 : 200,
    body,
  });
});

it.each<[string, Partial<State>, string]>([
  ['settings and workloads are known', {}, '[+]settings ok\n[+]watch ok\n'],
  ['there are no settings', { isKnown: false }, '[-]settings failed\n[+]watch ok\n'],
  ['the lists are not complete', { hasSynced: false }, '[+]settings ok\n[-]watch failed\n'],
])('is ready or not when %s', (_, state, body) => {
  expect(answerHealth(createReadinessChecks(partsIn(state))).body).toBe(body);
});
