import { expect, it } from 'vitest';

import { EDIT_EFFECTS, planConsequences } from '../../src/settings/settings-change.ts';
import { someSettings } from '../support/builders.ts';

const KEPT = ['forgive failures', 'look at all workloads'];
const FORGOTTEN = ['forget copies', ...KEPT];

const KEEPS: readonly (readonly [string, string])[] = [
  ['LOG_LEVEL', 'debug'],
  ['COPY_CONCURRENCY', '8'],
  ['COPY_TIMEOUT', '1m'],
  ['COPY_REFERRERS', 'true'],
  ['MAX_CONCURRENT_ROLLOUTS', '1'],
  ['ROLLOUT_TIMEOUT', '1m'],
  ['REQUEUE_AFTER', '1m'],
  ['PULL_SECRET', 'backup'],
  ['WORKLOAD_KINDS', 'Deployment'],
  ['NAMESPACES_EXCLUDE_LIST', 'shop'],
];

const FORGETS: readonly (readonly [string, string])[] = [
  ['REGISTRY_PREFIX', 'backup.example/q'],
  ['NAMING', 'flat'],
  ['PLATFORMS', 'linux/amd64'],
  ['INSECURE_REGISTRIES', 'backup.example'],
  ['ON_SOURCE_CHANGE', 'swap'],
  ['RECHECK_INTERVAL', '1m'],
  ['SOURCE_HOSTS', 'docker.io'],
  ['FORMER_PREFIXES', 'old.example'],
  ['MODE', 'observe'],
];

it('is known of every setting', () => {
  const tried = [...KEEPS, ...FORGETS].map(([key]) => key);
  expect(tried.toSorted()).toEqual(Object.keys(EDIT_EFFECTS).toSorted());
});

it.each(KEEPS)('keeps the copies when %s is edited, and looks at every workload again', (key, value) => {
  expect(planConsequences(someSettings(), someSettings({ [key]: value }))).toEqual(KEPT);
});

it.each(FORGETS)('forgets the copies when %s is edited', (key, value) => {
  expect(planConsequences(someSettings(), someSettings({ [key]: value }))).toEqual(FORGOTTEN);
});

it('forgets the copies when one of several edited settings asks for it', () => {
  const edited = someSettings({ LOG_LEVEL: 'debug', NAMING: 'flat' });
  expect(planConsequences(someSettings(), edited)).toEqual(FORGOTTEN);
});

it('forgives failures when a refused edit is taken back, too', () => {
  expect(planConsequences(someSettings(), someSettings())).toEqual(KEPT);
});

it('forgives nothing at the first settings: a restart is no edit', () => {
  expect(planConsequences(undefined, someSettings())).toEqual(['look at all workloads']);
});
