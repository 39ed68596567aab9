import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

import { OUTCOME_RESULTS } from '../queue/outcome.ts';
import type { QueueMetrics } from '../queue/work-queue.ts';
import { KINDS } from '../workloads/kinds.ts';
import { createCopyMetrics } from './copy-metrics.ts';
import { EMPTY_SNAPSHOT, type SnapshotReader } from './snapshot.ts';

const PREFIX = 'backup_image_registry_';
/** Closed set: a label. */
export const QUEUE_NAMES = ['workloads', 'copies', 'pull-secrets'] as const;
type QueueName = (typeof QUEUE_NAMES)[number];
const QUEUE_BUCKETS = [0.001, 0.01, 0.1, 1, 10, 60, 600];

type Registers = { readonly registers: [Registry] };

function createWorkMetrics({ registers }: Registers) {
  const copies = new Counter({
    name: `${PREFIX}copies_total`,
    help: 'Images that were copied, found in the backup already, or not copied.',
    labelNames: ['result'],
    registers,
  });
  const swaps = new Counter({
    name: `${PREFIX}swaps_total`,
    help: 'Workloads that were pointed at their copies, in time or to the rescue, or put back to their originals (undone: because of a failure; restored: because it was asked for), or for which the API server denied it.',
    labelNames: ['kind', 'result'],
    registers,
  });
  for (const result of ['copied', 'found', 'failed']) {
    copies.inc({ result }, 0);
  }
  for (const kind of Object.keys(KINDS)) {
    swaps.inc({ kind, result: 'swapped' }, 0);
    swaps.inc({ kind, result: 'rescued' }, 0);
    swaps.inc({ kind, result: 'undone' }, 0);
    swaps.inc({ kind, result: 'denied' }, 0);
    swaps.inc({ kind, result: 'restored' }, 0);
  }
  return {
    copies,
    swaps,
    copyDuration: new Histogram({
      name: `${PREFIX}copy_duration_seconds`,
      help: 'Time that one copy took.',
      buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900],
      registers,
    }),
  };
}

/** Counted when somebody asks. */
function createSwapGauges({ registers }: Registers, readSnapshot: SnapshotReader) {
  const rolloutsInFlight = new Gauge({
    name: `${PREFIX}rollouts_in_flight`,
    help: 'Workloads that roll out because of a swap.',
    registers,
    collect() {
      this.set(readSnapshot().rollouts);
    },
  });
  const recordedWorkloads = new Gauge({
    name: `${PREFIX}workloads_recorded`,
    help: 'Workloads that have the record of a swap: those that run from the backup, or are held. 0 after MODE=restore.',
    registers,
    collect() {
      this.set(readSnapshot().recorded);
    },
  });
  const isStopped = new Gauge({
    name: `${PREFIX}swapping_stopped`,
    help: '1 while nothing is swapped because swaps in three namespaces in a row have failed.',
    registers,
    collect() {
      this.set(Number(readSnapshot().isSwappingStopped));
    },
  });
  const stoppedNamespaces = new Gauge({
    name: `${PREFIX}stopped_namespaces`,
    help: 'Namespaces in which nothing is swapped because three swaps there have failed.',
    registers,
    collect() {
      this.set(readSnapshot().stoppedNamespaces);
    },
  });
  return { rolloutsInFlight, recordedWorkloads, isStopped, stoppedNamespaces };
}

function createStateMetrics({ registers }: Registers, readSnapshot: SnapshotReader) {
  const settingsReloads = new Counter({
    name: `${PREFIX}config_reloads_total`,
    help: 'Edits of the ConfigMap that took effect, or were refused.',
    labelNames: ['result'],
    registers,
  });
  settingsReloads.inc({ result: 'applied' }, 0);
  settingsReloads.inc({ result: 'refused' }, 0);
  const images = new Gauge({
    name: `${PREFIX}images`,
    help: 'Images that workloads wait for, by how far their copy is.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(readSnapshot().images)) {
        this.set({ state }, count);
      }
    },
  });
  return {
    settingsReloads,
    images,
    isSettingsApplied: new Gauge({
      name: `${PREFIX}config_last_reload_successful`,
      help: '1 while the newest ConfigMap is in force, 0 while it is refused.',
      registers,
      collect() {
        this.set(Number(readSnapshot().areSettingsApplied));
      },
    }),
    isLeader: new Gauge({
      name: `${PREFIX}leader`,
      help: '1 in the process that does the work.',
      registers,
      collect() {
        this.set(Number(readSnapshot().hasLease));
      },
    }),
  };
}

/** Names follow client-go's workqueue metrics. */
function createQueueMetrics({ registers }: Registers) {
  const labelNames = ['name'];
  const depth = new Gauge({
    name: `${PREFIX}workqueue_depth`,
    help: 'Keys that wait in the queue.',
    labelNames,
    registers,
  });
  const adds = new Counter({
    name: `${PREFIX}workqueue_adds_total`,
    help: 'Keys added to the queue.',
    labelNames,
    registers,
  });
  const retries = new Counter({
    name: `${PREFIX}workqueue_retries_total`,
    help: 'Keys tried again after a failure.',
    labelNames,
    registers,
  });
  const latency = new Histogram({
    name: `${PREFIX}workqueue_queue_duration_seconds`,
    help: 'Time a key waits in the queue before it is worked on.',
    labelNames,
    buckets: QUEUE_BUCKETS,
    registers,
  });
  const work = new Histogram({
    name: `${PREFIX}workqueue_work_duration_seconds`,
    help: 'Time it takes to work on a key.',
    labelNames,
    buckets: QUEUE_BUCKETS,
    registers,
  });
  const results = new Counter({
    name: `${PREFIX}reconciles_total`,
    help: 'Passes over a key, by what followed from them.',
    labelNames: ['name', 'result'],
    registers,
  });
  return (name: QueueName): QueueMetrics => {
    depth.set({ name }, 0);
    latency.zero({ name });
    work.zero({ name });
    adds.inc({ name }, 0);
    retries.inc({ name }, 0);
    for (const result of OUTCOME_RESULTS) {
      results.inc({ name, result }, 0);
    }
    return {
      depth: (keys) => depth.set({ name }, keys),
      added: () => adds.inc({ name }),
      latency: (seconds) => latency.observe({ name }, seconds),
      workDuration: (seconds) => work.observe({ name }, seconds),
      retries: () => retries.inc({ name }),
      result: (result) => results.inc({ name, result }),
    };
  };
}

/**
 * All metrics of the controller. Labels come from closed sets, never from image, namespace or workload names, and
 * every combination exists from the start, so that a rate is known before the first failure. Only what a few registries
 * tell about themselves is by host.
 */
export function createMetrics(version: string) {
  const registry = new Registry();
  const registers: Registers = { registers: [registry] };
  let takeSnapshot: SnapshotReader = () => EMPTY_SNAPSHOT;
  const readSnapshot: SnapshotReader = () => takeSnapshot();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: `${PREFIX}build_info`,
    help: 'Always 1; the label says which version runs.',
    labelNames: ['version'],
    ...registers,
  }).set({ version }, 1);
  return {
    registry,
    ...createWorkMetrics(registers),
    ...createCopyMetrics({ prefix: PREFIX, ...registers }, readSnapshot),
    ...createStateMetrics(registers, readSnapshot),
    ...createSwapGauges(registers, readSnapshot),
    forQueue: createQueueMetrics(registers),
    /** From now on the state of things is read there, when somebody asks for it. */
    observe(reader: SnapshotReader): void {
      takeSnapshot = reader;
    },
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
