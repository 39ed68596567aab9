import { formatReference } from '../../images/reference.ts';
import type { CopyRequest, CopyState } from './copy-state.ts';

interface Entry {
  request: CopyRequest;
  state: CopyState;
  readonly workloadKeys: Set<string>;
}

/** Queue key of a copy: thousand workloads with one image are one copy. */
export function copyKey({
  source,
  digest,
  reported = [],
  elsewhere = [],
  isRescue = false,
}: CopyRequest): string {
  return [
    formatReference(source),
    ...(digest === undefined ? [] : [`holding ${digest}`]),
    ...reported.map((one) => `running ${one}`),
    ...elsewhere.map((one) => `beside ${one}`),
    ...(isRescue ? ['to the rescue'] : []),
  ].join(' ');
}

/** Proof is more than knowing that there will be none, and that is more than not knowing. */
function rankProof({ isProven, isUnprovable = false }: CopyRequest): number {
  return isProven ? 2 : Number(isUnprovable);
}

function isSameOutcome(a: CopyState, b: CopyState): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * Which copies are wanted by which workloads, and how far each is. In memory only: what is lost with a restart
 * costs one look-up in the backup.
 */
export class CopyStore {
  readonly #entries = new Map<string, Entry>();
  readonly #keysByWorkload = new Map<string, readonly string[]>();
  readonly #onWanted: (copyKey: string) => void;
  readonly #onSettled: (workloadKey: string) => void;

  /** `onWanted` hears of every copy that has to be looked at, `onSettled` of every workload whose copy settled. */
  constructor(options: { onWanted: (copyKey: string) => void; onSettled: (workloadKey: string) => void }) {
    this.#onWanted = options.onWanted;
    this.#onSettled = options.onSettled;
  }

  get(request: CopyRequest): CopyState | undefined {
    return this.#entries.get(copyKey(request))?.state;
  }

  findRequest(key: string): CopyRequest | undefined {
    return this.#entries.get(key)?.request;
  }

  listFailed(): readonly string[] {
    return [...this.#entries].filter(([, { state }]) => state.phase === 'failed').map(([key]) => key);
  }

  /** Number of copies in each phase. */
  countPhases(): Readonly<Record<CopyState['phase'], number>> {
    const counts = { pending: 0, verified: 0, failed: 0 };
    for (const { state } of this.#entries.values()) {
      counts[state.phase] += 1;
    }
    return counts;
  }

  /** Replaces what a workload wants; a copy that nobody wants any more is forgotten. */
  want(workloadKey: string, requests: readonly CopyRequest[]): void {
    const keys = requests.map(copyKey);
    for (const old of this.#keysByWorkload.get(workloadKey) ?? []) {
      if (!keys.includes(old)) {
        this.#leave(old, workloadKey);
      }
    }
    if (keys.length === 0) {
      this.#keysByWorkload.delete(workloadKey);
      return;
    }
    this.#keysByWorkload.set(workloadKey, keys);
    for (const request of requests) {
      this.#join(request, workloadKey);
    }
  }

  /**
   * Keeps an outcome and wakes the workloads that wait for it, if it is another one than before. The request is the
   * very object that was looked up: one from before `clear` belongs to other settings, and its outcome is dropped.
   */
  settle(request: CopyRequest, state: CopyState): void {
    const entry = this.#entries.get(copyKey(request));
    if (entry?.request !== request || isSameOutcome(entry.state, state)) {
      return;
    }
    entry.state = state;
    for (const workloadKey of entry.workloadKeys) {
      this.#onSettled(workloadKey);
    }
  }

  /** Somebody asks for a look now, whatever was found the last time. */
  recheck(request: CopyRequest): void {
    if (this.#entries.has(copyKey(request))) {
      this.#onWanted(copyKey(request));
    }
  }

  /** A copy that was verified is not there any more: it has to be looked at closely, and made again. */
  distrust(request: CopyRequest, sinceMs: number): void {
    const entry = this.#entries.get(copyKey(request));
    if (entry) {
      const message = 'the copy was not there any more when it was to be used';
      entry.state = { phase: 'failed', reason: 'Unknown', side: 'backup', message, isFinal: false, sinceMs };
      this.#onWanted(copyKey(request));
    }
  }

  /** Forgets everything, because the settings say that the copies belong elsewhere. */
  clear(): void {
    this.#entries.clear();
    this.#keysByWorkload.clear();
  }

  #join(request: CopyRequest, workloadKey: string): void {
    const key = copyKey(request);
    const entry = this.#entries.get(key);
    if (!entry) {
      this.#entries.set(key, { request, state: { phase: 'pending' }, workloadKeys: new Set([workloadKey]) });
      this.#onWanted(key);
      return;
    }
    entry.workloadKeys.add(workloadKey);
    if (rankProof(request) > rankProof(entry.request)) {
      entry.request = request;
      if (entry.state.phase !== 'verified') {
        this.#onWanted(key);
      }
    }
  }

  #leave(key: string, workloadKey: string): void {
    const entry = this.#entries.get(key);
    entry?.workloadKeys.delete(workloadKey);
    if (entry?.workloadKeys.size === 0) {
      this.#entries.delete(key);
    }
  }
}
