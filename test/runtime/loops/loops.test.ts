import { expect, it } from 'vitest';

import { systemClock } from '../../../src/clock.ts';
import { Loops } from '../../../src/runtime/loops/loops.ts';
import { LiveSettings } from '../../../src/settings/live-settings.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { formatWorkloadKey } from '../../../src/workloads/kinds.ts';
import { aSlot, aWorkload } from '../../support/builders.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { NO_PULL_SECRETS } from '../../support/no-pull-secrets.ts';
import { waitFor } from '../../support/wait-for.ts';

/** Loops of a process that follows, until `start` is called. */
function createFollower(): {
  readonly loops: Loops;
  readonly workloads: Map<string, Workload>;
  readonly read: (metric: string) => Promise<number>;
} {
  const log = createLog();
  log.level = 'silent';
  const workloads = new Map<string, Workload>();
  const metrics = createMetrics('test', () => ({ copies: {}, rollouts: 0, recorded: 0, isStopped: false }));
  const settings = new LiveSettings({
    environment: { REGISTRY_PREFIX: 'backup.example/p' },
    log,
    onChanged: () => undefined,
    onRefused: () => undefined,
  });
  settings.apply(undefined);
  const loops = new Loops({
    workloads: {
      get: (name) => workloads.get(formatWorkloadKey(name)),
      list: () => [...workloads.values()],
      findNamespacePolicy: () => undefined,
    },
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
    registry: new MemoryRegistry({}),
    events: { record: () => undefined },
    settings,
    clock: systemClock,
    log,
    metrics,
    onSwappingStopped: () => undefined,
  });
  return {
    loops,
    workloads,
    async read(metric) {
      const text = await metrics.registry.metrics();
      return Number(new RegExp(`^backup_image_registry_${metric} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
    },
  };
}

it('a follower keeps no keys of workloads that come and go, and looks at those that are there when it leads', async () => {
  const { loops, workloads, read } = createFollower();
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
  loops.start();
  await waitFor(async () => (await read('reconciles_total\\{name="workloads",result="success"\\}')) === 10, {
    what: 'the ten that are left to be looked at',
  });
  loops.shutDown();
});
