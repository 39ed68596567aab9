import { type Clock, wait } from '../../clock.ts';
import { keepNewest } from '../../keep-newest.ts';
import type { Layer } from '../manifests/listed-layers.ts';
import type { LayerOwner, LayerPlace } from './layer-places.ts';

/** Smaller ones are sent sooner than waited for. */
const LEAST_CLAIMED_BYTES = 2 * 1024 * 1024;
/** Without any sign of life of the other copy: it reads manifests, and the engine begins with three layers. */
const LONGEST_SILENCE_MS = 15_000;
/** For a layer that has begun: what is slower than this is not waited for. */
const LEAST_BYTES_PER_MS = 512;
const BEGIN_MS = 5_000;
/** Whatever the other copy does. */
const LONGEST_WAIT_MS = 60_000;
/** For how long a namespace is not waited for by others that has let one wait in vain. */
const DISTRUST_MS = 10 * 60_000;
const MOST_NAMESPACES = 1_000;

/** A large layer that a copy brings to the backup. Times are monotonic. */
export interface LayerClaim extends LayerPlace {
  readonly namespace: string;
  /** By this copies wait only for those that came before them, and never for each other. */
  readonly order: number;
  readonly state: 'wanted' | 'begun' | 'done' | 'ended';
  readonly begunAtMs: number;
  /** Of the whole copy: something was begun, or done, or it had waited until then. */
  readonly seenAtMs: number;
  /** The copy itself waits for a layer of another one, and cannot give a sign of life. */
  readonly isWaiting: boolean;
}

/**
 * Until when a layer that another copy sends is waited for, and not sent oneself as well: as long as that copy gets on with it
 * at a decent pace. Whoever waits keeps its turn, and whose image it waits for may want it to wait: an image of its own at the
 * same registry, with the same layer, and a way to let it come slowly. So a wait ends after a time that does not depend on what
 * the other one does, whoever was let down takes the layer over for all that come later, and for a while nobody else waits for
 * copies of that namespace.
 */
function planPatienceMs(claim: LayerClaim, sinceMs: number): number {
  if (claim.isWaiting) {
    return sinceMs + LONGEST_WAIT_MS;
  }
  const patienceMs =
    claim.state === 'begun'
      ? claim.begunAtMs + BEGIN_MS + claim.sizeBytes / LEAST_BYTES_PER_MS
      : Math.max(sinceMs, claim.seenAtMs) + LONGEST_SILENCE_MS;
  return Math.min(patienceMs, sinceMs + LONGEST_WAIT_MS);
}

/** What one copy brings. */
export interface CopyClaims {
  /** Large layers become this copy's to bring, but for those that it had better wait for: these are returned. */
  claim(layers: readonly Layer[]): readonly Layer[];
  /** Waits until another copy has brought a layer: where it is then, or undefined when it has to be sent after all. */
  waitFor(layer: Layer, signal: AbortSignal): Promise<LayerPlace | undefined>;
  /** The copy gets on with a layer. */
  note(digest: string, state: 'begun' | 'done'): void;
  /** The copy has ended, well or not. */
  close(): void;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
interface OpenClaim extends Mutable<LayerClaim> {
  /** To be called when something has changed. */
  readonly waiting: Set<() => void>;
}

interface Claimant {
  readonly owner: LayerOwner;
  readonly repository: string;
  readonly order: number;
  readonly own: Map<string, OpenClaim>;
  /** For how many layers it waits. */
  waits: number;
}

/** The large layers that copies bring just now, each brought by one. */
export class LayerClaims {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #claims = new Map<string, OpenClaim>();
  /** Namespaces, and until when. */
  readonly #distrusted = new Map<string, number>();
  #count = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  open(owner: LayerOwner, repository: string): CopyClaims {
    this.#count += 1;
    const by: Claimant = { owner, repository, order: this.#count, own: new Map(), waits: 0 };
    return {
      claim: (layers) =>
        layers.filter((layer) => layer.sizeBytes >= LEAST_CLAIMED_BYTES && !this.#take(by, layer)),
      waitFor: (layer, signal) => this.#waitFor(by, layer, signal),
      note: (digest, state) => this.#note(by, digest, state),
      close: () => {
        for (const [key, claim] of by.own) {
          this.#end(key, claim);
        }
      },
    };
  }

  /** False when another copy brings the layer that is worth waiting for. */
  #take(by: Claimant, { digest, sizeBytes }: Layer): boolean {
    const { owner, repository, order, own } = by;
    const key = toKey(owner, digest);
    const other = this.#claims.get(key);
    if (other && this.#isWorthIt(other, by)) {
      return false;
    }
    const nowMs = this.#clock.monotonicMs();
    const claim: OpenClaim = {
      repository,
      sizeBytes,
      namespace: owner.namespace,
      order,
      state: 'wanted',
      begunAtMs: nowMs,
      seenAtMs: nowMs,
      isWaiting: by.waits > 0,
      waiting: new Set(),
    };
    own.set(key, claim);
    this.#claims.set(key, claim);
    return true;
  }

  #isWorthIt(other: LayerClaim, { owner, order }: Claimant): boolean {
    const untilMs = this.#distrusted.get(other.namespace) ?? 0;
    const isTrusted = other.namespace === owner.namespace || untilMs <= this.#clock.monotonicMs();
    return isTrusted && other.order < order;
  }

  async #waitFor(by: Claimant, layer: Layer, signal: AbortSignal): Promise<LayerPlace | undefined> {
    const key = toKey(by.owner, layer.digest);
    const sinceMs = this.#clock.monotonicMs();
    for (;;) {
      const claim = this.#claims.get(key);
      if (this.#take(by, layer) || !claim) {
        return undefined;
      }
      this.#noteWait(by, 1);
      try {
        await this.#untilSettled(claim, sinceMs, signal);
      } finally {
        this.#noteWait(by, -1);
      }
      if (claim.state === 'done') {
        return claim;
      }
      if (!claim.isWaiting) {
        this.#distrust(claim.namespace);
      }
      this.#end(key, claim);
    }
  }

  /** Returns when the layer has been brought, or will not be, or not soon enough. */
  async #untilSettled(claim: OpenClaim, sinceMs: number, signal: AbortSignal): Promise<void> {
    while (claim.state === 'wanted' || claim.state === 'begun') {
      const restMs = planPatienceMs(claim, sinceMs) - this.#clock.monotonicMs();
      if (restMs <= 0) {
        return;
      }
      const changed = new AbortController();
      const wake = (): void => changed.abort();
      claim.waiting.add(wake);
      await wait(restMs, AbortSignal.any([signal, changed.signal]));
      claim.waiting.delete(wake);
      signal.throwIfAborted();
    }
  }

  #noteWait(by: Claimant, more: 1 | -1): void {
    by.waits += more;
    for (const claim of by.own.values()) {
      claim.isWaiting = by.waits > 0;
      claim.seenAtMs = this.#clock.monotonicMs();
      wakeAll(claim);
    }
  }

  #note({ owner, own }: Claimant, digest: string, state: 'begun' | 'done'): void {
    const nowMs = this.#clock.monotonicMs();
    for (const claim of own.values()) {
      claim.seenAtMs = nowMs;
    }
    const claim = own.get(toKey(owner, digest));
    if (claim && claim.state !== state && claim.state !== 'done') {
      claim.state = state;
      claim.begunAtMs = nowMs;
      wakeAll(claim);
    }
  }

  #end(key: string, claim: OpenClaim): void {
    if (this.#claims.get(key) === claim) {
      this.#claims.delete(key);
    }
    claim.state = claim.state === 'done' ? 'done' : 'ended';
    wakeAll(claim);
  }

  #distrust(namespace: string): void {
    keepNewest(this.#distrusted, [namespace, this.#clock.monotonicMs() + DISTRUST_MS], MOST_NAMESPACES);
  }
}

function wakeAll({ waiting }: OpenClaim): void {
  for (const wake of waiting) {
    wake();
  }
}

function toKey({ route }: LayerOwner, digest: string): string {
  return `${route} ${digest}`;
}
