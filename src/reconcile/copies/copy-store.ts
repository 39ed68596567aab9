import { Counts } from '../../counts.ts';
import { formatReference } from '../../images/reference.ts';
import type { RegistryError } from '../../errors.ts';
import { parseWorkloadKey } from '../../workloads/kinds.ts';
import type { CopyShare } from '../ports.ts';
import type { CopyRequest, CopyState, FailedCopy } from './copy-state.ts';
import { covers, mergeRequests } from './merge-requests.ts';

interface Entry {
  request: CopyRequest;
  /** All that it has been: what a pass looks up may be added to meanwhile. */
  readonly requests: WeakSet<CopyRequest>;
  state: CopyState;
  /** What was asked when that came out: pods may have reported more since. */
  settledFor: CopyRequest | undefined;
  /** Why it could not be looked at with what pods have reported since. */
  openFailure?: FailedCopy | undefined;
  readonly workloadKeys: Set<string>;
  readonly namespaces: Counts;
}

/**
 * Queue key of a copy: thousand workloads with one image are one copy. What pods report counts only where nothing else says
 * which image it is: the key of a workload must not change with what is known of its pods.
 */
export function copyKey(request: CopyRequest): string {
  const { source, digest, reported = [], isRescue = false } = request;
  // Whom a rescue may be given to follows from the very pods that prove it: not from those of a neighbour.
  const isKnown = !isRescue && (digest !== undefined || source.digest !== undefined);
  return [
    formatReference(source),
    ...(digest === undefined ? [] : [`holding ${digest}`]),
    ...(isKnown ? [] : reported.toSorted().map((one) => `running ${one}`)),
    ...namePurpose(request),
  ].join(' ');
}

function namePurpose({ isProven, isRescue, isUnexplained }: CopyRequest): readonly string[] {
  if (isUnexplained) {
    return ['unexplained'];
  }
  return isRescue ? [isProven ? 'shown, to the rescue' : 'to the rescue'] : [];
}

function wasUnchecked(state: CopyState): boolean {
  return state.phase === 'verified' && state.checkProblem !== undefined;
}

function isSameOutcome(a: CopyState, b: CopyState): boolean {
  const toText = (state: CopyState): string => JSON.stringify({ ...state, provenAtMs: undefined });
  return toText(a) === toText(b);
}

export interface CopyListeners {
  /** Hears of every copy that has to be looked at. */
  readonly onWanted: (copyKey: string) => void;
  /** Hears of every workload whose copy settled. */
  readonly onSettled: (workloadKey: string) => void;
  /** Hears of every copy that another namespace wants, too. */
  readonly onShared?: (copyKey: string) => void;
  /** Hears of every copy that nobody wants any more. */
  readonly onUnwanted?: (copyKey: string) => void;
}

/**
 * Which copies are wanted by which workloads, and how far each is. In memory only: what is lost with a restart
 * costs one look-up in the backup.
 */
export class CopyStore {
  readonly #entries = new Map<string, Entry>();
  readonly #keysByWorkload = new Map<string, readonly string[]>();
  readonly #namespaces = new Counts();
  readonly #onWanted: (copyKey: string) => void;
  readonly #onSettled: (workloadKey: string) => void;
  readonly #onShared: (copyKey: string) => void;
  readonly #onUnwanted: (copyKey: string) => void;

  constructor(options: CopyListeners) {
    this.#onWanted = options.onWanted;
    this.#onSettled = options.onSettled;
    this.#onShared = options.onShared ?? (() => {});
    this.#onUnwanted = options.onUnwanted ?? (() => {});
  }

  /** What is known; a verified copy is pending again when pods report what it was not compared with. */
  get(request: CopyRequest): CopyState | undefined {
    const entry = this.#entries.get(copyKey(request));
    const isOpen = entry?.state.phase === 'verified' && !covers(entry.settledFor, request);
    return isOpen ? (entry.openFailure ?? { phase: 'pending' }) : entry?.state;
  }

  /** What was found the last time, whatever pods report since. */
  findLast(request: CopyRequest): CopyState | undefined {
    return this.#entries.get(copyKey(request))?.state;
  }

  findRequest(key: string): CopyRequest | undefined {
    return this.#entries.get(key)?.request;
  }

  /** For whom a copy is; for nobody when it is not wanted any more. */
  findShare(key: string): CopyShare {
    const entry = this.#entries.get(key);
    const { digest, isRescue = false } = entry?.request ?? {};
    return {
      namespaces: [...(entry?.namespaces.names() ?? [])],
      isAlone: this.#namespaces.size <= 1,
      // A digest of its own has the copy of a slot that holds one.
      isUrgent: isRescue || digest !== undefined || entry?.state.phase === 'verified',
    };
  }

  /** Those that somebody may have done something about. */
  listFailed(): readonly string[] {
    const isFailed = ({ state, openFailure }: Entry): boolean =>
      state.phase === 'failed' || openFailure !== undefined || wasUnchecked(state);
    return [...this.#entries].filter(([, entry]) => isFailed(entry)).map(([key]) => key);
  }

  /** Number of copies in each phase; what is there and no record explains is proven for nobody. */
  countPhases(): Readonly<Record<CopyState['phase'] | 'unexplained', number>> {
    const counts = { pending: 0, verified: 0, failed: 0, unexplained: 0 };
    for (const { request, state } of this.#entries.values()) {
      counts[request.isUnexplained && state.phase === 'verified' ? 'unexplained' : state.phase] += 1;
    }
    return counts;
  }

  /** Replaces what a workload wants; a copy that nobody wants any more is forgotten. */
  want(workloadKey: string, requests: readonly CopyRequest[]): void {
    const keys = new Set(requests.map(copyKey));
    for (const old of this.#keysByWorkload.get(workloadKey) ?? []) {
      if (!keys.has(old)) {
        this.#leave(old, workloadKey);
      }
    }
    const { namespace } = parseWorkloadKey(workloadKey);
    if (keys.size === 0) {
      if (this.#keysByWorkload.delete(workloadKey)) {
        this.#namespaces.remove(namespace);
      }
      return;
    }
    if (!this.#keysByWorkload.has(workloadKey)) {
      this.#namespaces.add(namespace);
    }
    this.#keysByWorkload.set(workloadKey, [...keys]);
    for (const request of requests) {
      this.#join(request, workloadKey);
    }
  }

  /**
   * Keeps an outcome and wakes the workloads that wait for it, if it is another one than before. The request is the
   * very object that was looked up: one from before `clear` belongs to other settings, and its outcome is dropped. One that
   * was added to meanwhile has found a copy all the same, and nobody else knows that it had to be made. That it found none
   * may be over by what was added: that is looked at again.
   */
  settle(request: CopyRequest, state: CopyState): void {
    const entry = this.#entries.get(copyKey(request));
    if (!entry?.requests.has(request)) {
      return;
    }
    if (entry.request !== request && state.phase !== 'verified') {
      this.#onWanted(copyKey(request));
      return;
    }
    const isSame = entry.settledFor === request && isSameOutcome(entry.state, state);
    entry.openFailure = undefined;
    entry.settledFor = request;
    entry.state = state;
    if (isSame) {
      return;
    }
    this.#tell(entry);
  }

  /** Somebody asks for a look now, whatever was found the last time. */
  recheck(request: CopyRequest): void {
    if (this.#entries.has(copyKey(request))) {
      this.#onWanted(copyKey(request));
    }
  }

  /** A look at a verified copy has failed: nothing is known for those whose pods report what it was not compared with. */
  failOpen(request: CopyRequest, failure: FailedCopy): void {
    const entry = this.#entries.get(copyKey(request));
    const { openFailure } = entry ?? {};
    const sinceMs = openFailure?.sinceMs ?? failure.sinceMs;
    if (entry && !(openFailure && isSameOutcome(openFailure, { ...failure, sinceMs }))) {
      entry.openFailure = { ...failure, sinceMs };
      this.#tell(entry);
    }
  }

  /** A look at a copy that was verified has failed, and says nothing of the copy: what pods report since stays to be compared. */
  noteUnchecked(request: CopyRequest, checkProblem: string): void {
    const entry = this.#entries.get(copyKey(request));
    if (entry?.state.phase === 'verified' && entry.state.checkProblem !== checkProblem) {
      entry.state = { ...entry.state, checkProblem };
      this.#tell(entry);
    }
  }

  /** A copy that was verified is not there any more: it has to be looked at closely, and made again. */
  distrust(request: CopyRequest, sinceMs: number): void {
    const entry = this.#entries.get(copyKey(request));
    if (entry) {
      const message = 'the copy was not there any more when it was to be used';
      const failed = { phase: 'failed', reason: 'Unknown', side: 'backup', message, isFinal: false } as const;
      entry.state = { ...failed, isMissing: true, sinceMs };
      this.#onWanted(copyKey(request));
    }
  }

  /** A copy that was verified turns out to be of no use to pods, and why: the backup has it and keeps it back. */
  refute(request: CopyRequest, { reason, side, message }: RegistryError, sinceMs: number): void {
    const entry = this.#entries.get(copyKey(request));
    if (entry) {
      entry.state = { phase: 'failed', reason, side, message, isFinal: true, sinceMs };
      this.#onWanted(copyKey(request));
    }
  }

  /** Forgets everything, because the settings say that the copies belong elsewhere. */
  clear(): void {
    const keys = [...this.#entries.keys()];
    this.#entries.clear();
    for (const key of keys) {
      this.#onUnwanted(key);
    }
    this.#keysByWorkload.clear();
    this.#namespaces.clear();
  }

  #tell({ workloadKeys }: Entry): void {
    for (const workloadKey of workloadKeys) {
      this.#onSettled(workloadKey);
    }
  }

  #join(request: CopyRequest, workloadKey: string): void {
    const key = copyKey(request);
    const entry = this.#entries.get(key);
    const { namespace } = parseWorkloadKey(workloadKey);
    if (!entry) {
      const state = { phase: 'pending' } as const;
      const workloadKeys = new Set([workloadKey]);
      const namespaces = new Counts([namespace]);
      const requests = new WeakSet([request]);
      this.#entries.set(key, { request, requests, state, settledFor: undefined, workloadKeys, namespaces });
      this.#onWanted(key);
      return;
    }
    if (!entry.workloadKeys.has(workloadKey)) {
      const isOther = entry.namespaces.get(namespace) === 0;
      entry.workloadKeys.add(workloadKey);
      entry.namespaces.add(namespace);
      if (isOther) {
        this.#onShared(key);
      }
    }
    const merged = mergeRequests(entry.request, request);
    if (merged !== entry.request) {
      entry.request = merged;
      entry.requests.add(merged);
      if (entry.state.phase !== 'verified' || !covers(entry.settledFor, merged)) {
        this.#onWanted(key);
      }
    }
  }

  #leave(key: string, workloadKey: string): void {
    const entry = this.#entries.get(key);
    if (entry?.workloadKeys.delete(workloadKey)) {
      entry.namespaces.remove(parseWorkloadKey(workloadKey).namespace);
    }
    if (entry?.workloadKeys.size === 0) {
      this.#entries.delete(key);
      this.#onUnwanted(key);
    }
  }
}
