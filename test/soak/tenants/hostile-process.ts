/**
 * The hostile tenant, in a process of its own, so that what it does takes no turns of those who measure. Told by the message
 * of its parent when to begin and when to rest; tells of every act.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { startFaultyRegistry } from '../../support/faulty-registry.ts';
import { createKube } from '../../support/kube.ts';
import type { KubeConnection } from '../../support/kube-transport.ts';
import { createRandom } from '../../support/random.ts';
import type { RegistryConnection } from '../../support/registry.ts';
import { ACT_NAMES, ACTS, type ActName, type HostileFacts, HostileTenant } from './hostile-acts.ts';
import { startHostileRegistries } from './hostile-registries.ts';
import { planActs } from './plan.ts';

/** The first message to the process. */
export interface HostileOrder extends Pick<
  HostileFacts,
  'namespace' | 'crampedNamespace' | 'slowDomain' | 'images'
> {
  readonly seed: number;
  /** What it does; all, unless one act is looked at alone. */
  readonly only: readonly ActName[];
  readonly connection: KubeConnection;
  readonly source: RegistryConnection;
}

export type ToHostile =
  | { readonly start: HostileOrder }
  | { readonly know: Pick<HostileFacts, 'prefix' | 'victims'> }
  | { readonly say: 'attack' | 'withdraw' };

export type FromHostile =
  | { readonly hosts: readonly string[] }
  | { readonly act: string; readonly atMs: number }
  | { readonly is: 'resting' | 'gone' };

const FAULTY = 6;
/**
 * Between two acts, and as long as the last one took if that was longer: a tenant who keeps the API server busy all the time
 * is its problem, and would hide what becomes of the controller.
 */
const SHORTEST_PAUSE_MS = 150;

function tell(message: FromHostile): void {
  process.send?.(message);
}

async function prepare({ connection, source, seed, only, ...rest }: HostileOrder) {
  const [registries, faulty] = await Promise.all([
    startHostileRegistries(),
    Promise.all(Array.from({ length: FAULTY }, () => startFaultyRegistry(source))),
  ]);
  const acts = planActs(only.length > 0 ? only : ACT_NAMES, seed);
  const facts = { ...rest, kube: createKube(connection), hosts: registries.hosts, faulty };
  tell({ hosts: [...Object.values(registries.hosts), ...faulty.map(({ host }) => host)] });
  return { facts, acts };
}

async function attack(
  tenant: HostileTenant,
  acts: ReturnType<typeof planActs<ActName>>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { name, seed } = acts.next().value;
    const startedAtMs = Date.now();
    tell({ act: `${name} (${seed})`, atMs: startedAtMs });
    const done = await ACTS[name](tenant, createRandom(seed));
    tell({ act: `${name} (${seed}): ${done}`, atMs: Date.now() });
    await sleep(Math.max(SHORTEST_PAUSE_MS, Date.now() - startedAtMs));
  }
}

let prepared: Awaited<ReturnType<typeof prepare>> | undefined;
let tenant: HostileTenant | undefined;
let attacking: Promise<void> = Promise.resolve();
let rest = new AbortController();

async function obey(message: ToHostile): Promise<void> {
  if ('start' in message) {
    prepared = await prepare(message.start);
    return;
  }
  if (!prepared) {
    throw new Error('not started yet');
  }
  const { facts, acts } = prepared;
  if ('know' in message) {
    tenant = new HostileTenant({ ...facts, ...message.know });
    tell({ is: 'resting' });
  } else if (tenant && message.say === 'attack') {
    rest = new AbortController();
    attacking = attack(tenant, acts, rest.signal);
    await attacking;
  } else {
    rest.abort();
    await attacking;
    await tenant?.withdraw();
    tell({ is: 'gone' });
  }
}

process.on('message', (message: ToHostile) => {
  obey(message).catch((error: unknown) => {
    console.error('hostile tenant:', error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit());
