import type { Settings } from './settings.ts';

/** What is to be done about an edit of the settings. */
export type Consequence = 'forget copies' | 'forgive failures' | 'look at all workloads';

/**
 * What a change of a setting makes void. Copies that are forgotten cost a request each until they are known again, so
 * that they are kept wherever what is known of them stays true.
 */
const VOID: Readonly<Record<keyof Settings, 'copies' | 'nothing'>> = {
  // They are elsewhere.
  REGISTRY_PREFIX: 'copies',
  // They have other names.
  NAMING: 'copies',
  // They have other names, and other parts that must be there.
  PLATFORMS: 'copies',
  // Another server may answer for the same host.
  INSECURE_REGISTRIES: 'copies',
  // What the source is known to mean was looked up, or was not, under the old rule.
  ON_SOURCE_CHANGE: 'copies',
  // The next look at each is planned already, hours from now.
  RECHECK_INTERVAL: 'copies',
  // What waits to be copied may not be copied any more, and must not be begun before its workloads are looked at.
  SOURCE_HOSTS: 'copies',
  // The same: with observe or restore nothing is copied.
  MODE: 'copies',
  // A workload that leaves the scope is forgotten, and its copies with it unless others need them.
  NAMESPACES_EXCLUDE_LIST: 'nothing',
  WORKLOAD_KINDS: 'nothing',
  // Read when a copy is made. What is in the backup is not made again, forgotten or not.
  COPY_REFERRERS: 'nothing',
  // Read when a copy is made. One that took too long has failed, and failures are forgiven.
  COPY_TIMEOUT: 'nothing',
  COPY_CONCURRENCY: 'nothing',
  // About workloads, and read when they are looked at.
  REQUEUE_AFTER: 'nothing',
  MAX_CONCURRENT_ROLLOUTS: 'nothing',
  ROLLOUT_TIMEOUT: 'nothing',
  // About nodes: the controller has credentials of its own.
  PULL_SECRET: 'nothing',
  LOG_LEVEL: 'nothing',
};

const KEYS = Object.keys(VOID) as (keyof Settings)[];

function voidsCopies(before: Settings, now: Settings): boolean {
  const changed = KEYS.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
  return changed.some((key) => VOID[key] === 'copies');
}

/**
 * What is to be done about new settings, in this order. Every edit forgives what has failed or was refused, whatever it
 * changes: it may be there for that alone. The first settings of a process are no edit.
 */
export function planConsequences(before: Settings | undefined, now: Settings): readonly Consequence[] {
  if (!before) {
    return ['look at all workloads'];
  }
  const forgotten = voidsCopies(before, now) ? (['forget copies'] as const) : [];
  return [...forgotten, 'forgive failures', 'look at all workloads'];
}
