import type { Settings } from './settings.ts';

/** What is to be done about an edit of the settings. */
export type Consequence = 'forget copies' | 'forgive failures' | 'look at all workloads';

/** What an edit of a setting does to what is known of copies, and why. */
export interface EditEffect {
  readonly copies: 'forgotten' | 'kept';
  /** In whole sentences, for the reference. */
  readonly why: string;
}

const keeps = (why: string): EditEffect => ({ copies: 'kept', why });
const forgets = (why: string): EditEffect => ({ copies: 'forgotten', why });

/**
 * What an edit makes void. Copies that are forgotten cost a request each until they are known again, so that they are
 * kept wherever what is known of them stays true.
 */
export const EDIT_EFFECTS: Readonly<Record<keyof Settings, EditEffect>> = {
  REGISTRY_PREFIX: forgets('The copies are elsewhere.'),
  NAMING: forgets('The copies have other names.'),
  PLATFORMS: forgets('The copies have other names, and other parts that must be there.'),
  INSECURE_REGISTRIES: forgets('Another server may answer for the same host.'),
  ON_SOURCE_CHANGE: forgets(
    'What the source is known to mean was looked up, or was not, under the old rule.',
  ),
  RECHECK_INTERVAL: forgets('The next look at each copy is planned already, hours from now.'),
  FORMER_PREFIXES: forgets('What waits to be copied from there may not be copied any more.'),
  SOURCE_HOSTS: forgets(
    'What waits to be copied may not be copied any more, and must not be begun before its workloads are looked at.',
  ),
  MODE: forgets(
    'With observe or restore nothing is copied: what waits for it must not be begun before its workloads are looked at.',
  ),
  NAMESPACES_EXCLUDE_LIST: keeps(
    'A workload that leaves the scope is forgotten, and its copies with it unless others need them.',
  ),
  WORKLOAD_KINDS: keeps(
    'A workload that leaves the scope is forgotten, and its copies with it unless others need them.',
  ),
  COPY_REFERRERS: keeps(
    'It is read when a copy is made. What is in the backup is not made again, forgotten or not.',
  ),
  COPY_TIMEOUT: keeps(
    'It is read when a copy is made. One that took too long has failed, and failures are forgiven.',
  ),
  COPY_CONCURRENCY: keeps('It is read when a copy is made.'),
  REQUEUE_AFTER: keeps('It is about workloads, and read when they are looked at.'),
  MAX_CONCURRENT_ROLLOUTS: keeps('It is about workloads, and read when they are looked at.'),
  ROLLOUT_TIMEOUT: keeps('It is about workloads, and read when they are looked at.'),
  PULL_SECRET: keeps('It is about nodes: the controller has credentials of its own.'),
  LOG_LEVEL: keeps('It is about the log alone.'),
};

const KEYS = Object.keys(EDIT_EFFECTS) as (keyof Settings)[];

function voidsCopies(before: Settings, now: Settings): boolean {
  const changed = KEYS.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
  return changed.some((key) => EDIT_EFFECTS[key].copies === 'forgotten');
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
