import { Counts } from '../counts.ts';
import { Lanes, type Place } from './lanes.ts';

/** Who wants a piece of work, and whom it asks. */
export interface Share {
  /** Each of them may pay for it with its turn. */
  readonly namespaces: readonly string[];
  /** Host that is asked, and may keep the work waiting. */
  readonly host?: string;
  /** Pods depend on it now: every other turn is for such work, while there is any. */
  readonly isUrgent?: boolean;
}

export interface Turn {
  readonly key: string;
  /** Whose turn it is. */
  readonly namespace: string;
}

export interface ShareLimits {
  /** With so much under way, only a namespace that has nothing under way may begin something. */
  readonly forAll: number;
  /** So much of what is under way may ask one host. */
  readonly perHost: number;
}

/** Leaves room for others, whatever some namespaces want and however slowly one host answers. */
export function planShareLimits(concurrency: number): ShareLimits {
  return { forAll: Math.ceil((concurrency * 3) / 4), perHost: Math.ceil(concurrency / 2) };
}

const NO_HOST = '';
const NO_NAMESPACE = '';

interface Waiting extends Place {
  readonly isUrgent: boolean;
}

function unite(known: Waiting | undefined, { namespaces, host = NO_HOST, isUrgent = false }: Share): Waiting {
  const all = [...new Set([...(known?.namespaces ?? []), ...namespaces])];
  return {
    // What nobody wants at the moment would wait for ever otherwise, and with it whoever wants it next.
    namespaces: all.length > 0 ? all : [NO_NAMESPACE],
    host: known?.host ?? host,
    isUrgent: known?.isUrgent === true || isUrgent,
  };
}

/**
 * Keys that wait for their turn. Namespaces take turns, and within a namespace the hosts; keys of one host come in the order
 * in which they were put there. So the work of one tenant does not wait for all that another wants. Urgent keys have turns of
 * their own, in between: who always has some does not keep others from what is not urgent.
 */
export class FairLine {
  readonly #limits: () => ShareLimits;
  readonly #waiting = new Map<string, Waiting>();
  readonly #urgent = new Lanes();
  readonly #ordinary = new Lanes();
  readonly #underWay = new Map<string, { readonly namespace: string; readonly host: string }>();
  readonly #perNamespace = new Counts();
  readonly #perHost = new Counts();
  /** Whether the last turn was for urgent work. */
  #wasUrgent = false;

  /** `limits` are asked at every turn, so that they may change. */
  constructor(limits: () => ShareLimits) {
    this.#limits = limits;
  }

  /** Keys that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A key that waits already keeps its place, unless it has become urgent, and gets one with each namespace that is new. */
  put(key: string, share: Share): void {
    const known = this.#waiting.get(key);
    const now = unite(known, share);
    if (known && known.isUrgent !== now.isUrgent) {
      this.#lanesOf(known).remove(key, known);
    }
    this.#lanesOf(now).put(key, now);
    this.#waiting.set(key, now);
  }

  /** For a key that waits, and is wanted by more now than when it was put there. */
  widen(key: string, share: Share): void {
    if (this.#waiting.has(key)) {
      this.put(key, share);
    }
  }

  /** The next key, which counts as under way until it is done; undefined when nothing may begin now. */
  take(): Turn | undefined {
    const { forAll, perHost } = this.#limits();
    const may = {
      namespace: (name: string) => this.#underWay.size < forAll || this.#perNamespace.get(name) === 0,
      host: (name: string) => name === NO_HOST || this.#perHost.get(name) < perHost,
    };
    const [first, second] = this.#wasUrgent ? [this.#ordinary, this.#urgent] : [this.#urgent, this.#ordinary];
    const found = first.find(may) ?? second.find(may);
    const waiting = found && this.#waiting.get(found.key);
    if (!found || !waiting) {
      return undefined;
    }
    const { key, namespace, host } = found;
    this.#wasUrgent = waiting.isUrgent;
    this.#lanesOf(waiting).remove(key, waiting);
    this.#waiting.delete(key);
    this.#underWay.set(key, { namespace, host });
    this.#perNamespace.add(namespace);
    this.#perHost.add(host);
    return { key, namespace };
  }

  /** The work for a key that was taken has ended. */
  done(key: string): void {
    const charge = this.#underWay.get(key);
    if (charge) {
      this.#underWay.delete(key);
      this.#perNamespace.remove(charge.namespace);
      this.#perHost.remove(charge.host);
    }
  }

  /** Forgets what waits; what is under way stays under way. */
  clear(): void {
    this.#waiting.clear();
    this.#urgent.clear();
    this.#ordinary.clear();
  }

  #lanesOf({ isUrgent }: Waiting): Lanes {
    return isUrgent ? this.#urgent : this.#ordinary;
  }
}
