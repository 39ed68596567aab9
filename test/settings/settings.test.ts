import { expect, it } from 'vitest';

import { UsageError } from '../../src/errors.ts';
import { describeSettings, parseSettings } from '../../src/settings/settings.ts';

const PREFIX = { REGISTRY_PREFIX: 'registry.example.com/backup' };

function refuse(data: Record<string, string>): string {
  try {
    parseSettings(data, {});
  } catch (error) {
    if (error instanceof UsageError) {
      return error.message;
    }
    throw error;
  }
  throw new Error('the settings were accepted');
}

it('needs nothing but the prefix', () => {
  expect(parseSettings(PREFIX, {})).toMatchObject({
    REGISTRY_PREFIX: { host: 'registry.example.com', path: 'backup' },
    NAMESPACES_EXCLUDE_LIST: ['kube-system', 'kube-public', 'kube-node-lease'],
    COPY_REFERRERS: false,
    COPY_TIMEOUT: 900_000,
  });
});

it('puts the ConfigMap over the environment, and both over the defaults', () => {
  const settings = parseSettings(
    { ...PREFIX, COPY_CONCURRENCY: '2' },
    { COPY_CONCURRENCY: '3', REQUEUE_AFTER: '2s' },
  );
  expect(settings).toMatchObject({ COPY_CONCURRENCY: 2, REQUEUE_AFTER: 2000, MAX_CONCURRENT_ROLLOUTS: 5 });
});

it('takes an emptied value for an unset one', () => {
  expect(parseSettings({ ...PREFIX, REQUEUE_AFTER: '', COPY_REFERRERS: ' ' }, {})).toMatchObject({
    REQUEUE_AFTER: 30_000,
    COPY_REFERRERS: false,
  });
});

it.each([
  ['1s', 1000],
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1500ms', 1500],
  ['1.5h', 5_400_000],
  ['1h0.5m', 3_630_000],
  ['.5m', 30_000],
  ['1.s', 1000],
  ['1.0004s', 1000],
])('reads the duration %s', (text, ms) => {
  expect(parseSettings({ ...PREFIX, REQUEUE_AFTER: text }, {}).REQUEUE_AFTER).toBe(ms);
});

it.each([
  ['REQUEUE_AFTER', '10', /REQUEUE_AFTER must be a duration/],
  ['REQUEUE_AFTER', '1.5.5h', /REQUEUE_AFTER must be a duration/],
  ['REQUEUE_AFTER', '.h', /REQUEUE_AFTER must be a duration/],
  ['REQUEUE_AFTER', '1,5h', /REQUEUE_AFTER must be a duration/],
  ['REQUEUE_AFTER', '0.9s', /REQUEUE_AFTER must be a duration/],
  ['REQUEUE_AFTER', '0s', /REQUEUE_AFTER must be a duration/],
  ['REQUEUE_AFTER', '-5s', /REQUEUE_AFTER must be a duration/],
  ['COPY_CONCURRENCY', '0', /COPY_CONCURRENCY must be a whole number from 1 to 64/],
  ['COPY_CONCURRENCY', '1e1', /COPY_CONCURRENCY must be a whole number/],
  ['COPY_REFERRERS', 'yes', /COPY_REFERRERS must be true or false/],
  ['MODE', 'Swap', /MODE must be swap, copy, observe or restore/],
  ['NAMING', 'short', /NAMING must be auto, nested or flat/],
  ['NAMESPACES_EXCLUDE_LIST', 'kube-system;shop', /NAMESPACES_EXCLUDE_LIST must be a comma-separated list/],
  ['LOG_LEVEL', 'verbose', /LOG_LEVEL must be error, warn, info or debug/],
  ['REGISTRY_PREFIX', '<registry.domain/username>', /REGISTRY_PREFIX is still the example/],
  ['REGISTRY_PREFIX', 'https://registry.example.com', /REGISTRY_PREFIX /],
  ['FORMER_PREFIXES', 'old.example.com/p,backup', /FORMER_PREFIXES cannot be used: "backup" can mean/],
])('refuses %s=%s and says what is right', (key, value, message) => {
  expect(refuse({ ...PREFIX, [key]: value })).toMatch(message);
});

it('knows the prefixes of before', () => {
  expect(parseSettings(PREFIX, {}).FORMER_PREFIXES).toEqual([]);
  const text = ' old.example.com/backup/, Older.example.com:5000 ,';
  expect(parseSettings({ ...PREFIX, FORMER_PREFIXES: text }, {}).FORMER_PREFIXES).toEqual([
    { host: 'old.example.com', path: 'backup' },
    { host: 'older.example.com:5000', path: '' },
  ]);
});

it.each(['true', 'True', 'TRUE'])('takes %s for true', (text) => {
  expect(parseSettings({ ...PREFIX, COPY_REFERRERS: text }, {}).COPY_REFERRERS).toBe(true);
});

it('asks for the prefix when there is none', () => {
  expect(refuse({})).toMatch(/^REGISTRY_PREFIX is required/);
});

it('names every bad key in one message', () => {
  const message = refuse({ NAMING: 'x', COPY_TIMEOUT: 'soon', REGISTRY_PREFX: 'r.example' });
  expect(message).toMatch(/NAMING/);
  expect(message).toMatch(/COPY_TIMEOUT/);
  expect(message).toMatch(/REGISTRY_PREFX is no setting; did you mean REGISTRY_PREFIX\?/);
});

it.each(['constructor', '__proto__', 'toString'])('knows no setting called %s', (key) => {
  expect(refuse({ ...PREFIX, ...JSON.parse(`{"${key}":"x"}`) } as Record<string, string>)).toMatch(
    /is no setting/,
  );
});

it('does not repeat a value, which may be a secret in the wrong place', { tags: 'attack-secret' }, () => {
  expect(refuse({ ...PREFIX, COPY_TIMEOUT: 'hunter2', LOG_LEVEL: 'hunter2' })).not.toMatch(/hunter2/);
  for (const prefix of ['https://me:hunter2@r.example/p', 'me:hunter2@r.example/p', 'r.example/p:hunter2']) {
    expect(refuse({ REGISTRY_PREFIX: prefix })).not.toMatch(/hunter2/);
  }
});

it('describes every setting, and every default is accepted', () => {
  const described = describeSettings();
  expect(described.every(({ meaning }) => meaning.endsWith('.'))).toBe(true);
  expect(described.find(({ key }) => key === 'NAMING')?.allowed).toBe('auto, nested or flat');
  const defaults = described.flatMap(({ key, fallback }) =>
    fallback === undefined ? [] : [[key, fallback]],
  );
  expect(parseSettings({ ...PREFIX, ...Object.fromEntries(defaults) }, {})).toEqual(
    parseSettings(PREFIX, {}),
  );
});

it('knows the kinds of workload, each once', () => {
  const kinds = (text: string) => parseSettings({ ...PREFIX, WORKLOAD_KINDS: text }, {}).WORKLOAD_KINDS;
  expect(kinds('')).toEqual(['Deployment', 'DaemonSet']);
  expect(kinds('CronJob, StatefulSet,CronJob')).toEqual(['StatefulSet', 'CronJob']);
  expect(refuse({ ...PREFIX, WORKLOAD_KINDS: 'Deployment,Job' })).toMatch(
    /^WORKLOAD_KINDS must be a comma-separated list of kinds, of which there are Deployment, DaemonSet, Stat/,
  );
});

it('takes the name of a Secret, or none', () => {
  expect(parseSettings(PREFIX, {}).PULL_SECRET).toBe('');
  expect(parseSettings({ ...PREFIX, PULL_SECRET: 'backup.pull-1' }, {}).PULL_SECRET).toBe('backup.pull-1');
  expect(refuse({ ...PREFIX, PULL_SECRET: 'shop/pull' })).toBe('PULL_SECRET must be the name of a Secret');
});
