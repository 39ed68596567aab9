import { expect, it } from 'vitest';

import { planConsequences } from '../../src/settings/settings-change.ts';
import { someSettings } from '../support/builders.ts';

const KEPT = ['forgive failures', 'look at all workloads'];
const FORGOTTEN = ['forget copies', ...KEPT];

it.each<[string, string]>([
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
])('keeps the copies when %s is edited, and looks at every workload again', (key, value) => {
  expect(planConsequences(someSettings(), someSettings({ [key]: value }))).toEqual(KEPT);
});

it.each<[string, string]>([
  ['REGISTRY_PREFIX', 'backup.example/q'],
  ['NAMING', 'flat'],
  ['PLATFORMS', 'linux/amd64'],
  ['INSECURE_REGISTRIES', 'backup.example'],
  ['ON_SOURCE_CHANGE', 'swap'],
  ['RECHECK_INTERVAL', '1m'],
  ['SOURCE_HOSTS', 'docker.io'],
  ['MODE', 'observe'],
])('forgets the copies when %s is edited', (key, value) => {
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
