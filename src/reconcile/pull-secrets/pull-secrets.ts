import { ConflictError, WriteDeniedError } from '../../errors.ts';
import { type WorkloadKind, formatWorkloadKey, parseWorkloadKey } from '../../workloads/kinds.ts';
import { parseRecord } from '../../workloads/record.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { ObjectEvent } from '../events/object-event.ts';
import type { EventRecorder, PullSecretClient, PullSecretStore } from '../ports.ts';
import { planDistribution, planSecretDeniedEvent, planProblemEvent } from './distribution.ts';

/** A swap is patched right after its Secret was made; until the patch is seen, the Secret counts as used. */
const RESERVED_MS = 60_000;

export interface PullSecretsDeps {
  readonly store: PullSecretStore;
  readonly client: PullSecretClient;
  /** All workloads of a namespace that can be seen, those out of scope too: what was swapped once may still be used. */
  readonly listWorkloads: (namespace: string) => readonly Workload[];
  /** False for a kind whose workloads cannot be seen now. */
  readonly canSee: (kind: string) => boolean;
  /** PULL_SECRET. */
  readonly wanted: () => string | undefined;
  /** Of the controller, where the source is. */
  readonly ownNamespace: string;
  readonly events: EventRecorder;
  readonly nowMs: () => number;
}

/** What the record of a workload says of the Secret. */
interface SecretUse {
  readonly pullSecret: string | undefined;
  readonly hasCopies: boolean;
}

/** What a swap has to know of the pull secret, and to do about it. */
export type SwapPullSecrets = Pick<PullSecrets, 'wanted' | 'findProblem' | 'prepare'>;

/** Sees to it that the pull secret is where swapped workloads reference it, and nowhere else. */
export class PullSecrets {
  readonly #deps: PullSecretsDeps;
  /** By workload key. */
  readonly #reserved = new Map<string, { readonly namespace: string; readonly untilMs: number }>();
  /** By annotations: every change of one workload asks all of its namespace, and a record may be long. */
  readonly #uses = new WeakMap<Workload['annotations'], SecretUse>();

  constructor(deps: PullSecretsDeps) {
    this.#deps = deps;
  }

  /** PULL_SECRET. */
  get wanted(): string | undefined {
    return this.#deps.wanted();
  }

  /** Why a workload cannot have the pull secret now; undefined when it can, or needs none. */
  findProblem(workload: Workload): ObjectEvent | undefined {
    const { store, ownNamespace } = this.#deps;
    const name = this.wanted;
    if (name === undefined) {
      return undefined;
    }
    const found = store.get(workload.namespace);
    return planProblemEvent({
      name,
      ownNamespace,
      state: store.state(),
      source: store.get(ownNamespace),
      isUnmanaged: workload.namespace !== ownNamespace && found?.isOurs === false,
      isUsersEntry: this.#isUsersEntry(workload, name),
    });
  }

  /**
   * Makes the Secret available to a workload that is about to reference it.
   *
   * @throws {ConflictError} when somebody else was faster, or the Secrets are not known yet.
   * @throws {WriteDeniedError} after it was said on the workload.
   */
  async prepare(workload: Workload, signal: AbortSignal): Promise<void> {
    const { namespace, kind } = workload;
    if (this.wanted === undefined) {
      return;
    }
    if (this.#deps.store.state() !== 'known') {
      throw new ConflictError(`Secrets ${this.wanted} are not known yet`);
    }
    const untilMs = this.#deps.nowMs() + RESERVED_MS;
    this.#reserved.set(formatWorkloadKey(workload), { namespace, untilMs });
    try {
      await this.#bringAbout(namespace, { isUsed: true, kinds: [kind] }, signal);
    } catch (error) {
      if (error instanceof WriteDeniedError) {
        this.#deps.events.record(workload, planSecretDeniedEvent(this.wanted, error));
      }
      throw error;
    }
  }

  /** Called for every change of a workload. Returns its namespace, if the Secret there is to be looked at. */
  observe(key: string, workload: Workload | undefined): string | undefined {
    const name = this.wanted;
    if (name === undefined) {
      return undefined;
    }
    if (!workload || (this.#reserved.has(key) && this.#readUse(workload).pullSecret === name)) {
      this.#reserved.delete(key);
    }
    const { namespace } = parseWorkloadKey(key);
    const isConcerned =
      this.#deps.store.get(namespace) !== undefined || workload?.pullSecrets.includes(name) === true;
    return isConcerned ? namespace : undefined;
  }

  /** Brings the Secret of one namespace to what its workloads need. Returns when to look again. */
  async reconcile(namespace: string, signal: AbortSignal): Promise<{ requeueAfterMs?: number }> {
    const kinds = this.#findUsers(namespace);
    const reservedMs = this.#findReservedMs(namespace);
    const isUsed = kinds.length > 0 || reservedMs > 0 || this.#mayBeUsed(namespace);
    await this.#bringAbout(namespace, { isUsed, kinds }, signal);
    return reservedMs > 0 ? { requeueAfterMs: reservedMs } : {};
  }

  async #bringAbout(
    namespace: string,
    use: { readonly isUsed: boolean; readonly kinds: readonly WorkloadKind[] },
    signal: AbortSignal,
  ): Promise<void> {
    const { store, client, canSee, ownNamespace } = this.#deps;
    const found = store.get(namespace);
    if (this.wanted === undefined || store.state() !== 'known' || namespace === ownNamespace) {
      return;
    }
    const plan = planDistribution({ source: store.get(ownNamespace), found, use, canSee });
    if (plan.is === 'create') {
      await client.create({ namespace, name: this.wanted }, plan.content, signal);
    } else if (plan.is === 'update') {
      await client.update(plan.secret, plan.content, signal);
    } else if (plan.is === 'remove') {
      await client.remove(plan.secret, signal);
    }
  }

  #isUsersEntry(workload: Workload, name: string): boolean {
    return workload.pullSecrets.includes(name) && this.#readUse(workload).pullSecret !== name;
  }

  #readUse({ annotations }: Workload): SecretUse {
    const known = this.#uses.get(annotations);
    if (known) {
      return known;
    }
    const { pullSecret, copies } = parseRecord(annotations);
    const use = { pullSecret, hasCopies: copies.size > 0 };
    this.#uses.set(annotations, use);
    return use;
  }

  /** Kinds of the workloads that reference the Secret for their copies. */
  #findUsers(namespace: string): readonly WorkloadKind[] {
    const name = this.wanted ?? '';
    const users = this.#deps.listWorkloads(namespace).filter((workload) => {
      if (!workload.pullSecrets.includes(name)) {
        return false;
      }
      const { pullSecret, hasCopies } = this.#readUse(workload);
      return pullSecret === name || hasCopies;
    });
    return [...new Set(users.map(({ kind }) => kind))];
  }

  /** A workload that is too large to be known may name the Secret that is there: its next pod could not be pulled without. */
  #mayBeUsed(namespace: string): boolean {
    const { store, listWorkloads } = this.#deps;
    return (
      store.get(namespace) !== undefined &&
      listWorkloads(namespace).some(({ tooLarge }) => tooLarge !== undefined)
    );
  }

  #findReservedMs(namespace: string): number {
    const nowMs = this.#deps.nowMs();
    for (const [key, { untilMs }] of this.#reserved) {
      if (untilMs <= nowMs) {
        this.#reserved.delete(key);
      }
    }
    const reserved = [...this.#reserved.values()].filter((one) => one.namespace === namespace);
    return Math.max(0, ...reserved.map(({ untilMs }) => untilMs - nowMs));
  }
}
