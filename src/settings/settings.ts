import leven from 'leven';
import { z } from 'zod';

import { UsageError } from '../errors.ts';
import { KIND_NAMES } from '../workloads/kinds.ts';
import {
  backupPrefix,
  backupPrefixes,
  choice,
  durationMs,
  list,
  platforms,
  readAllowed,
  secretName,
  trueOrFalse,
  wholeNumber,
  workloadKinds,
} from './setting-values.ts';

/**
 * Every key of the ConfigMap; the same names work as environment variables. `describe` is the text of
 * docs/reference/settings.md, in Markdown; its links begin at the top of the repository.
 */
const SCHEMA = z.object({
  REGISTRY_PREFIX: backupPrefix.describe(
    'Where the copies go: `registry.example.com/backup`, `registry.example.com:5000`, `docker.io/user`.',
  ),
  NAMESPACES_EXCLUDE_LIST: list('kube-system,kube-public,kube-node-lease', {
    pattern: /^[a-z0-9*?-]{1,63}$/,
    what: 'namespace names, in which * and ? may stand for other characters',
  }).describe('Namespaces whose workloads are left alone; `*` and `?` are allowed.'),
  MODE: choice(['swap', 'copy', 'observe', 'restore'], 'swap').describe(
    '`swap` copies images and points workloads at the copies, `copy` only copies, `observe` only writes into the log ' +
      'what it would do, `restore` puts every original back.',
  ),
  WORKLOAD_KINDS: workloadKinds('Deployment,DaemonSet').describe(
    `Kinds of workload that are managed: ${KIND_NAMES.map((kind) => `\`${kind}\``).join(', ')}.`,
  ),
  NAMING: choice(['auto', 'nested', 'flat'], 'auto').describe(
    'How copies are named: `nested` keeps the path of the source below the prefix, `flat` makes one path component of ' +
      'it, for registries that allow no deeper path; `auto` knows the common ones.',
  ),
  PLATFORMS: platforms('all').describe(
    'What is copied of images with several platforms: `all`, or a list such as `linux/amd64,linux/arm64`, which has to ' +
      'name the platform of every node, and needs a backup registry that takes such copies ' +
      '([which do](docs/registries.md#some-platforms-only)).',
  ),
  COPY_CONCURRENCY: wholeNumber('4', { min: 1, max: 64 }).describe('Copies made at the same time.'),
  COPY_TIMEOUT: durationMs('15m').describe(
    'Longest time for one copy; a longer one is ended and tried again later.',
  ),
  REQUEUE_AFTER: durationMs('30s').describe(
    'When a workload that waits (for its rollout, for its turn) is looked at again if nothing is heard of it before.',
  ),
  RECHECK_INTERVAL: durationMs('6h').describe(
    'How often every copy in use is looked up again, and copied again when it is gone.',
  ),
  ON_SOURCE_CHANGE: choice(['ignore', 'copy', 'swap'], 'copy').describe(
    'What happens when a tag means another image at its source, which is looked at together with the copy: `copy` backs ' +
      'the new image up too, `swap` also rolls the workload to it, `ignore` does not look.',
  ),
  PULL_SECRET: secretName('').describe(
    'Name of a Secret of the type `kubernetes.io/dockerconfigjson` in the namespace of the controller, with which nodes ' +
      'may pull the copies; see [Pull secret](README.md#pull-secret).',
  ),
  FORMER_PREFIXES: backupPrefixes('').describe(
    'What REGISTRY_PREFIX was before, as long as workloads hold copies from there: what their sources do not have any more is ' +
      'copied from there ([Move the backup](docs/moving.md)).',
  ),
  SOURCE_HOSTS: list('*', {
    pattern: /^[A-Za-z0-9.\-[\]:*?]{1,255}$/,
    what: 'registry hosts, in which * and ? may stand for other characters',
  }).describe('Registries that may be copied from, as `docker.io` or `*.example.com:5000`.'),
  COPY_REFERRERS: trueOrFalse('false').describe(
    'Copy signatures, attestations and SBOMs along: referrers of OCI 1.1, and tags as cosign writes them.',
  ),
  MAX_CONCURRENT_ROLLOUTS: wholeNumber('5', { min: 1, max: 1000 }).describe(
    'Workloads that may be rolling out at the same time because of a swap, shared by the namespaces that want to. ' +
      'Rescues come on top, and some more where one namespace had several before others came: at worst 10 of 5, or 27 of 10.',
  ),
  ROLLOUT_TIMEOUT: durationMs('10m').describe(
    'How long a pod may take to become ready after a swap before the swap is undone, and how long the rollout counts ' +
      'against MAX_CONCURRENT_ROLLOUTS.',
  ),
  INSECURE_REGISTRIES: list('', {
    pattern: /^[A-Za-z0-9.\-[\]:]{1,255}$/,
    what: 'registry hosts, with a port if they have one',
  }).describe('Registries spoken to over plain HTTP, as `host` or `host:port`.'),
  LOG_LEVEL: choice(['error', 'warn', 'info', 'debug'], 'info').describe(
    'Least severe log lines that are written.',
  ),
});

type Key = keyof typeof SCHEMA.shape;

const KEYS = Object.keys(SCHEMA.shape) as Key[];

/** All settings, checked; times in milliseconds. */
export type Settings = Readonly<z.output<typeof SCHEMA>>;

export interface SettingDescription {
  readonly key: Key;
  /** Undefined for a required setting. */
  readonly fallback: string | undefined;
  /** What a value must be. */
  readonly allowed: string;
  readonly meaning: string;
}

/** All that there is to say about every setting, in the order of the reference. */
export function describeSettings(): readonly SettingDescription[] {
  return KEYS.map((key) => {
    const schema = SCHEMA.shape[key];
    const { default: fallback } = z.toJSONSchema(schema, { io: 'input' });
    return {
      key,
      fallback: typeof fallback === 'string' ? fallback : undefined,
      allowed: readAllowed(schema),
      meaning: schema.description ?? '',
    };
  });
}

function suggestKey(key: string): string {
  const best = KEYS.toSorted((a, b) => leven(a, key) - leven(b, key))[0] ?? '';
  return leven(best, key) <= 4 ? `; did you mean ${best}?` : '';
}

/** Empty counts as unset: an emptied line in the ConfigMap means the default. */
function pickKeys(values: Readonly<Record<string, string | undefined>>): Partial<Record<Key, string>> {
  return Object.fromEntries(KEYS.flatMap((key) => (values[key]?.trim() ? [[key, values[key].trim()]] : [])));
}

function formatIssue({ path, message }: z.core.$ZodIssue): string {
  return `${String(path[0])} ${message}`;
}

/**
 * Reads all settings: the ConfigMap over the environment over the defaults.
 *
 * @throws {UsageError} with one sentence for every bad key; values are never repeated, they may be secrets.
 */
export function parseSettings(
  configMapData: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): Settings {
  const unknown = Object.keys(configMapData)
    .filter((key) => !Object.hasOwn(SCHEMA.shape, key))
    .map((key) => `${key.slice(0, 80)} is no setting${suggestKey(key)}`);
  const parsed = SCHEMA.safeParse({ ...pickKeys(environment), ...pickKeys(configMapData) });
  const invalid = parsed.error?.issues.map(formatIssue) ?? [];
  const problems = [...invalid, ...unknown];
  if (!parsed.success || problems.length > 0) {
    throw new UsageError(problems.join('; '));
  }
  return Object.freeze(parsed.data);
}

const RESTORE_SCHEMA = SCHEMA.pick({ MODE: true, MAX_CONCURRENT_ROLLOUTS: true, ROLLOUT_TIMEOUT: true });

/** What a restore goes by. */
export type RestoreSettings = Readonly<z.output<typeof RESTORE_SCHEMA>>;

/**
 * The same settings, of which a restore needs only some: it has to work when the others are wrong or gone.
 *
 * @throws {UsageError} with one sentence for every bad key.
 */
export function parseRestoreSettings(
  configMapData: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
): RestoreSettings {
  const parsed = RESTORE_SCHEMA.safeParse({ ...pickKeys(environment), ...pickKeys(configMapData) });
  if (!parsed.success) {
    throw new UsageError(parsed.error.issues.map(formatIssue).join('; '));
  }
  return Object.freeze(parsed.data);
}
