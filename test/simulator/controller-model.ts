import { pino } from 'pino';

import { systemClock } from '../../src/clock.ts';
import { Loops } from '../../src/runtime/loops/loops.ts';
import { CurrentPhase } from '../../src/runtime/phase.ts';
import { RegistryError } from '../../src/errors.ts';
import { type Reference, formatReference, withDigest } from '../../src/images/reference.ts';
import { LiveSettings } from '../../src/settings/live-settings.ts';
import { isPullFailure } from '../../src/reconcile/decide/pods/pull-failure.ts';
import type { ObjectEvent } from '../../src/reconcile/events/object-event.ts';
import type { ImageRegistry, PodPatch, WorkloadClient, WorkloadPatch } from '../../src/reconcile/ports.ts';
import { NO_MEMO, type SwapStop } from '../../src/reconcile/rollouts/swap-stops.ts';
import { formatWorkloadKey } from '../../src/workloads/kinds.ts';
import type { Pod, Workload } from '../../src/workloads/workload.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { NOTHING_COPIED } from '../support/memory-registry.ts';
import { NO_PULL_SECRETS } from '../support/no-pull-secrets.ts';
import type { ClusterModel } from './cluster-model.ts';
import { PLATFORMS, type RegistryModel } from './registry-model.ts';

/** Counted by all together, and read by nobody. */
const METRICS = createMetrics('0.0.0');

/** A request that is on its way. It takes effect, and is answered, when the world says so. */
interface Request {
  readonly what: string;
  finish(): void;
  /** Takes effect at the other side, and is never answered: its sender is dead. */
  takeEffect(): void;
}

export interface ControllerWorld {
  readonly cluster: ClusterModel;
  readonly registries: RegistryModel;
  readonly settings: Readonly<Record<string, string>>;
  /** Number of the step that the world is in. */
  step(): number;
  tell(line: string): void;
  /** Called with what is about to be written. */
  onPatch(workload: Workload, patch: WorkloadPatch): void;
  onPodPatch(workload: Workload, patch: PodPatch): void;
  /** Called when a tag of the backup is about to mean a digest. */
  onTag(copy: Reference, digest: string): void;
  onSwappingStopped(stop: SwapStop): void;
}

/** The two loops as they are, with every request of theirs in the hands of the world. */
export class ControllerModel {
  readonly #world: ControllerWorld;
  readonly #live: LiveSettings;
  readonly #loops: Loops;
  readonly #seen = new Map<string, Workload>();
  /** By the name of their workload. */
  readonly #seenPods = new Map<string, readonly Pod[]>();
  readonly #requests: Request[] = [];
  #heardChanges: number;

  constructor(world: ControllerWorld) {
    this.#world = world;
    const log = pino({ level: 'error' }, { write: (line) => this.#keepBug(line) });
    this.#live = new LiveSettings({ environment: {}, log });
    let hasLease = false;
    const phase = new CurrentPhase(() => ({ isAllKnown: this.#live.isKnown, hasLease }));
    this.#loops = new Loops({
      phase,
      workloads: {
        get: (name) => this.#seen.get(formatWorkloadKey(name)),
        list: () => [...this.#seen.values()],
        findNamespacePolicy: () => undefined,
      },
      pods: { listOf: ({ name }) => this.#seenPods.get(name) ?? [] },
      areWorkloadsKnown: () => true,
      client: this.#createClient(),
      registry: this.#createRegistry(),
      pullSecrets: NO_PULL_SECRETS,
      events: { record: (subject, event) => this.#tellEvent(subject.name, event) },
      settings: this.#live,
      clock: systemClock,
      log,
      metrics: METRICS,
      memo: NO_MEMO,
      onSwappingStopped: (stop) => world.onSwappingStopped(stop),
    });
    this.#live.listen({
      onChanged: (now, before) => this.#loops.applySettings(now, before),
      onRefused: (problem) => {
        throw new Error(problem);
      },
    });
    this.#heardChanges = world.cluster.changes.length;
    this.applySettings(world.settings);
    for (const workload of world.cluster.workloads.values()) {
      this.#see(world.cluster.read(workload));
    }
    this.hearPods();
    hasLease = true;
    phase.advance();
    this.#loops.start();
  }

  applySettings(settings: Readonly<Record<string, string>>): void {
    this.#live.apply(settings);
  }

  countRequests(): number {
    return this.#requests.length;
  }

  /** Answers one request that is on its way. */
  answer(pick: number): void {
    const [request] = this.#requests.splice(pick % Math.max(1, this.#requests.length), 1);
    request?.finish();
  }

  isBehind(): boolean {
    return this.#heardChanges < this.#world.cluster.changes.length;
  }

  /** Lets the reflector hear of the next change. */
  hear(): void {
    const change = this.#world.cluster.changes[this.#heardChanges];
    if (!change) {
      return;
    }
    this.#heardChanges += 1;
    if (change.workload) {
      this.#see(change.workload);
    } else {
      this.#seen.delete(change.key);
      this.#loops.observe(change.key, undefined);
    }
  }

  /** Lets the watch of pods catch up. Until it is told to, it shows what was. */
  hearPods(): void {
    const { workloads } = this.#world.cluster;
    for (const name of [...this.#seenPods.keys()].filter((one) => !workloads.has(one))) {
      this.#seenPods.delete(name);
    }
    for (const { kind, namespace, name } of workloads.values()) {
      const pods = this.#world.cluster.listPods(name);
      if (JSON.stringify(pods) !== JSON.stringify(this.#seenPods.get(name))) {
        this.#seenPods.set(name, pods);
        const isOfPull = pods.some(({ containers }) => containers.some(isPullFailure));
        this.#loops.observePod(formatWorkloadKey({ kind: kind.kind, namespace, name }), { isOfPull });
      }
    }
  }

  /** As with kill -9: of what is on its way, some still takes effect, and nothing is ever answered. */
  kill(pick: number): void {
    this.#loops.shutDown();
    for (const [index, request] of this.#requests.splice(0).entries()) {
      if ((pick >> (index % 16)) % 2 === 1) {
        request.takeEffect();
      }
    }
  }

  /** Failures that nobody has thought of; those of the world are no errors. */
  readonly bugs: string[] = [];

  #keepBug(line: string): void {
    if (line.includes('unexpected failure')) {
      this.bugs.push(line);
    }
  }

  #see(workload: Workload): void {
    const key = formatWorkloadKey(workload);
    this.#seen.set(key, workload);
    this.#loops.observe(key, workload);
  }

  #tellEvent(name: string, { reason, note }: ObjectEvent): void {
    this.#world.tell(`  event on ${name}: ${reason}: ${note.slice(0, 160)}`);
  }

  #send<T>(what: string, signal: AbortSignal, effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#requests.push({
        what,
        finish: () => {
          try {
            signal.throwIfAborted();
            resolve(effect());
          } catch (error) {
            reject(error);
          }
        },
        takeEffect: () => {
          try {
            effect();
          } catch {
            // The other side refused it, and nobody is there to hear that.
          }
        },
      });
    });
  }

  #createClient(): WorkloadClient {
    const world = this.#world;
    return {
      listPods: (workload, signal) =>
        this.#send(`pods of ${workload.name}`, signal, () => world.cluster.listPods(workload.name)),
      listNodePlatforms: (signal) =>
        this.#send('platforms of the nodes', signal, () => PLATFORMS.map((platform) => `linux/${platform}`)),
      listFormerTemplates: (workload, signal) =>
        this.#send(`revisions of ${workload.name}`, signal, () =>
          world.cluster.listFormerTemplates(workload),
        ),
      releaseImages: (workload, signal) =>
        this.#send(`release of ${workload.name}`, signal, () => world.cluster.releaseImages(workload)),
      dryRunPatch: (workload, patch, signal) =>
        this.#send(`dry run of a patch of ${workload.name}`, signal, () =>
          world.cluster.dryRun(workload, patch),
        ),
      patch: (workload, patch, signal) =>
        this.#send(`patch of ${workload.name}`, signal, () => {
          world.onPatch(workload, patch);
          world.cluster.patch(workload, patch);
        }),
      patchPod: (workload, patch, signal) =>
        this.#send(`patch of the pod ${patch.name}`, signal, () => {
          world.onPodPatch(workload, patch);
          world.cluster.patchPod(workload, patch);
        }),
    };
  }

  #createRegistry(): ImageRegistry {
    const world = this.#world;
    const { registries } = world;
    return {
      fetchDigest: (reference, side, signal) =>
        this.#send(`HEAD ${formatReference(reference)}`, signal, () => {
          registries.assertUp(side);
          const digest = registries.find(reference);
          if (side === 'backup' && digest !== undefined) {
            registries.noteSeen(reference, digest, world.step());
          }
          return digest;
        }),
      copy: ({ source, copy }, signal) =>
        this.#send(`copy of ${formatReference(source)}`, signal, () => {
          registries.assertUp('source');
          registries.assertUp('backup');
          const digest = registries.find(source);
          if (digest === undefined) {
            throw new RegistryError('not there', { reason: 'NotFound', side: 'source' });
          }
          world.onTag(copy, digest);
          registries.put(copy, copy.tag ?? '', digest);
          world.tell(`  copied ${formatReference(withDigest(copy, digest))}`);
          return NOTHING_COPIED;
        }),
      findMissingPart: (copy, _, signal) =>
        this.#send(`parts of ${formatReference(copy)}`, signal, () => {
          registries.assertUp('backup');
          return registries.findMissingPart(copy);
        }),
      findAbsentParts: async () => undefined,
      listParts: ({ host, repository, digest }, side, signal) =>
        this.#send(`parts of ${repository}@${digest}`, signal, () => {
          registries.assertUp(side);
          return registries.listParts({ host, repository, digest });
        }),
      tag: (copy, tag, signal) =>
        this.#send(`tag ${formatReference(copy)}`, signal, () => {
          registries.assertUp('backup');
          world.onTag({ ...copy, tag }, copy.digest ?? '');
          registries.put(copy, tag, copy.digest ?? '');
        }),
      isPrivate: (reference, _, signal) =>
        this.#send(`is ${formatReference(reference)} private`, signal, () => false),
    };
  }
}
