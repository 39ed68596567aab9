import { readFileSync } from 'node:fs';

const INTERVAL_MS = 50;

export interface MemoryLimits {
  /** Of one program, ever. */
  readonly aloneBytes: number;
  /** Of all that run at the same time. */
  readonly togetherBytes: number;
}

/** What a program has in memory, and the most that it ever had. */
export interface MemoryUse {
  readonly bytes: number;
  readonly peakBytes: number;
}

/** Why a program is ended. */
export interface MemoryExcess {
  /** By itself, or the largest of those that took too much together. */
  readonly is: 'alone' | 'together';
  readonly bytes: number;
}

interface Watched {
  readonly pid: number;
  readonly onExceeded: (excess: MemoryExcess) => void;
}

/**
 * Which programs have to end: those that were too large for a moment, and the largest of all as long as the others still take
 * too much together.
 */
export function findMemoryExcess<Program>(
  uses: ReadonlyMap<Program, MemoryUse>,
  { aloneBytes, togetherBytes }: MemoryLimits,
): ReadonlyMap<Program, MemoryExcess> {
  const found = new Map<Program, MemoryExcess>();
  let restBytes = 0;
  const rest: [Program, number][] = [];
  for (const [program, { bytes, peakBytes }] of uses) {
    if (peakBytes > aloneBytes) {
      found.set(program, { is: 'alone', bytes: peakBytes });
    } else {
      rest.push([program, bytes]);
      restBytes += bytes;
    }
  }
  for (const [program, bytes] of rest.toSorted(([, a], [, b]) => b - a)) {
    if (restBytes <= togetherBytes) {
      break;
    }
    found.set(program, { is: 'together', bytes });
    restBytes -= bytes;
  }
  return found;
}

/**
 * Watches how much memory programs take, by what the kernel tells of them: what one had between two looks is seen as its
 * peak at the next. Where there is no /proc, nothing is known and nothing is watched.
 */
export class MemoryBudget {
  readonly #limits: () => MemoryLimits;
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** `limits` are asked at every look, so that they may change. */
  constructor(limits: () => MemoryLimits) {
    this.#limits = limits;
  }

  /** `onExceeded` is called at most once. Returns what ends the watch. */
  watch(pid: number, onExceeded: (excess: MemoryExcess) => void): () => void {
    const watched = { pid, onExceeded };
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.#look(), INTERVAL_MS);
    return () => this.#leave(watched);
  }

  #look(): void {
    const uses = new Map<Watched, MemoryUse>();
    for (const watched of this.#watched) {
      const use = readUse(watched.pid);
      if (use) {
        uses.set(watched, use);
      }
    }
    for (const [watched, excess] of findMemoryExcess(uses, this.#limits())) {
      this.#leave(watched);
      watched.onExceeded(excess);
    }
  }

  #leave(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}

/** Undefined for a process that is gone, and where the system does not tell. */
function readUse(pid: number): MemoryUse | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const read = (name: string): number | undefined => {
      const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
      return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
    };
    const [bytes, peakBytes] = [read('VmRSS'), read('VmHWM')];
    return bytes === undefined || peakBytes === undefined ? undefined : { bytes, peakBytes };
  } catch {
    return undefined;
  }
}
