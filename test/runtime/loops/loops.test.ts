import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { Loops } from '../../../src/runtime/loops/loops.ts';
import { CurrentPhase } from '../../../src/runtime/phase.ts';
import { LiveSettings } from '../../../src/settings/live-settings.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { parseReference } from '../../../src/images/reference.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { NO_MEMO } from '../../../src/reconcile/rollouts/swap-stops.ts';
import { NO_WATCHED_PODS } from '../../../src/reconcile/workload/watched-pods.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import { aSlot, aWorkload, DIGEST } from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { NO_PULL_SECRETS } from '../../support/no-pull-secrets.ts';
import { waitFor } from '../../support/wait-for.ts';

const NGINX = 'docker.io/library/nginx:1.27';

/** Loops of a process that follows, until `lead` is called. */
function createFollower(registry = new MemoryRegistry({})): {
  readonly loops: Loops;
  readonly lead: () => void;
  readonly workloads: Map<string, Workload>;
  /** Edits the settings. */
  readonly edit: (data: Readonly<Record<string, string>>) => void;
  readonly read: (metric: string) => Promise<number>;
} {
  const log = createLog();
  log.level = 'silent';
  const workloads = new Map<string, Workload>();
  const metrics = createMetrics('test');
  const settings = new LiveSettings({
    environment: { REGISTRY_PREFIX: 'backup.example/p' },
    log,
  });
  let hasLease = false;
  const phase = new CurrentPhase(() => ({ isAllKnown: true, hasLease }));
  const loops = new Loops({
    phase,
    workloads: {
      get: (name) => workloads.get(formatWorkloadKey(name)),
      list: () => [...workloads.values()],
      findNamespacePolicy: () => undefined,
    },
    pods: NO_WATCHED_PODS,
    areWorkloadsKnown: () => true,
    pullSecrets: NO_PULL_SECRETS,
    client: {
      listPods: () => Promise.resolve([]),
      listNodePlatforms: () => Promise.resolve([]),
      listFormerTemplates: () => Promise.resolve([]),
      releaseImages: () => Promise.resolve(),
      dryRunPatch: () => Promise.resolve(undefined),
      patch: () => Promise.resolve(),
      patchPod: () => Promise.resolve(),
    },
    registry,
    events: { record: () => undefined },
    settings,
    clock: systemClock,
    log,
    metrics,
    memo: NO_MEMO,
    onSwappingStopped: () => undefined,
  });
  settings.listen({
    onChanged: (now, before) => loops.applySettings(now, before),
    onRefused: () => undefined,
  });
  settings.apply({});
  return {
    loops,
    workloads,
    lead: () => {
      hasLease = true;
      phase.advance();
      loops.start();
    },
    edit: (data) => settings.apply(data),
    async read(metric) {
      const text = await metrics.registry.metrics();
      return Number(new RegExp(`^backup_image_registry_${metric} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
    },
  };
}

it('a follower keeps no keys of workloads that come and go, and looks at those that are there when it leads', async () => {
  const { loops, lead, workloads, read } = createFollower();
  for (let index = 0; index < 100; index += 1) {
    const workload = aWorkload({ name: `job-${index}`, slots: [aSlot('app', { pullPolicy: 'Never' })] });
    const key = formatWorkloadKey(workload);
    workloads.set(key, workload);
    loops.observe(key, workload);
    if (index % 10 !== 0) {
      workloads.delete(key);
      loops.observe(key, undefined);
    }
  }
  loops.retryWithNewCredentials();
  expect(await read('workqueue_depth\\{name="workloads"\\}')).toBe(0);
  lead();
  await waitFor(async () => (await read('reconciles_total\\{name="workloads",result="success"\\}')) === 10, {
    what: 'the ten that are left to be looked at',
  });
  loops.shutDown();
});

/** A leader with one workload, once what it knows of the copy is this. */
async function leadUntil(phase: 'verified' | 'failed', registry: MemoryRegistry) {
  const { loops, lead, workloads, edit } = createFollower(registry);
  const workload = aWorkload();
  workloads.set(formatWorkloadKey(workload), workload);
  lead();
  const isSettled = (): boolean => loops.readState().images[phase] === 1;
  await waitFor(isSettled, { what: `the copy to be ${phase}` });
  return { loops, workloads, edit };
}

it('an edit of the log level forgets no copy, and one of the prefix all of them', async () => {
  const registry = new MemoryRegistry({});
  registry.put(parseReference(NGINX), DIGEST);
  const { loops, edit } = await leadUntil('verified', registry);
  edit({ LOG_LEVEL: 'error' });
  expect(loops.readState().images['verified']).toBe(1);
  edit({ REGISTRY_PREFIX: 'backup.example/q' });
  expect(loops.readState().images['verified']).toBe(0);
  await waitFor(() => registry.uploads === 2, { what: 'the copy below the other prefix' });
  loops.shutDown();
});

it('any edit looks again at a copy that has failed', async () => {
  const registry = new MemoryRegistry({});
  const { loops, edit } = await leadUntil('failed', registry);
  registry.put(parseReference(NGINX), DIGEST);
  edit({ LOG_LEVEL: 'error' });
  await waitFor(() => loops.readState().images['verified'] === 1, { what: 'the copy' });
  loops.shutDown();
});

/** Never settles what it is asked about the hosts of one domain, whatever its deadline and its signal say. */
class DeafRegistry extends MemoryRegistry {
  readonly deafTo: string;

  constructor(deafTo: string) {
    super({});
    this.deafTo = deafTo;
  }

  override fetchDigest(
    ...[reference, side]: Parameters<MemoryRegistry['fetchDigest']>
  ): Promise<string | undefined> {
    return reference.host.endsWith(this.deafTo) ? new Promise(() => {}) : super.fetchDigest(reference, side);
  }
}

it(
  'look-ups that never end stop no copy of others for good, and are told to the health check',
  { tags: 'attack-registry' },
  async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const registry = new DeafRegistry('evil.example');
    registry.put(parseReference(NGINX), DIGEST);
    const { loops, lead, workloads } = createFollower(registry);
    // More than a namespace has passes at the same time.
    for (let index = 0; index < 16; index += 1) {
      const workload = aWorkload({
        name: `evil-${index}`,
        slots: [aSlot('app', { image: `h${index}.evil.example/x:1` })],
      });
      workloads.set(formatWorkloadKey(workload), workload);
    }
    lead();
    await waitFor(() => loops.readState().images['pending'] === 16, { what: 'the look-ups' });
    const good = aWorkload({ name: 'good' });
    workloads.set(formatWorkloadKey(good), good);
    loops.observe(formatWorkloadKey(good), good);
    await vi.advanceTimersByTimeAsync(21 * 60_000);
    await waitFor(() => loops.readState().images['verified'] === 1, { what: 'the copy of another workload' });
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(loops.longestOverdueMs()).toBeGreaterThan(5 * 60_000);
    loops.shutDown();
  },
);

it('a workload that leaves the scope takes its copies with it', async () => {
  const registry = new MemoryRegistry({});
  registry.put(parseReference(NGINX), DIGEST);
  const { loops, workloads, edit } = await leadUntil('verified', registry);
  // As with the watch: what is out of scope cannot be seen, and nobody tells that it has gone.
  workloads.clear();
  edit({ NAMESPACES_EXCLUDE_LIST: 'shop' });
  await waitFor(() => loops.readState().images['verified'] === 0, { what: 'the copy to be forgotten' });
  loops.shutDown();
});

describe('when a leader looks at a workload', () => {
  const WAITING = aSlot('app', { pullPolicy: 'Never' });
  const rolling = (resourceVersion: string, generation = 1): Workload => ({
    ...aWorkload({ slots: [WAITING], rollout: { available: 0, generation } }),
    resourceVersion,
  });
  const key = formatWorkloadKey(rolling('1'));

  /** It has looked at the workload once. */
  async function leadOne() {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const { loops, lead, workloads, edit, read } = createFollower();
    const see = (workload: Workload): void => {
      workloads.set(key, workload);
      loops.observe(key, workload);
    };
    see(rolling('1'));
    lead();
    onTestFinished(() => loops.shutDown());
    const countLooks = async (): Promise<number> => {
      await vi.advanceTimersByTimeAsync(0);
      return read('workqueue_work_duration_seconds_count\\{name="workloads"\\}');
    };
    expect(await countLooks()).toBe(1);
    return { loops, see, edit, countLooks };
  }

  it('is a second after the first change of a rollout or of a pod, once for all', async () => {
    const { loops, see, countLooks } = await leadOne();
    see(rolling('2'));
    await vi.advanceTimersByTimeAsync(999);
    see(rolling('3'));
    loops.observePod(key, { isOfPull: false });
    expect(await countLooks()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await countLooks()).toBe(2);
  });

  it('is 250 ms after a pod of it cannot pull, whatever was to come later', async () => {
    const { loops, see, countLooks } = await leadOne();
    see(rolling('2'));
    loops.observePod(key, { isOfPull: true });
    await vi.advanceTimersByTimeAsync(249);
    expect(await countLooks()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await countLooks()).toBe(2);
  });

  it('is at once when its template is another one, and after an edit of the settings', async () => {
    const { see, edit, countLooks } = await leadOne();
    see(rolling('2', 2));
    expect(await countLooks()).toBe(2);
    edit({ MODE: 'restore' });
    expect(await countLooks()).toBe(3);
  });
});
