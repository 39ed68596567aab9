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
  /** By itself, or with others: the largest of the group that took the most. */
  readonly is: 'alone' | 'together';
  readonly bytes: number;
}

export interface WatchedProgram {
  readonly pid: number;
  /** On whose behalf it runs. */
  readonly group: string;
  readonly onExceeded: (excess: MemoryExcess) => void;
}

/** Of one program, and on whose behalf it runs. */
type GroupUse = MemoryUse & { readonly group: string };

/**
 * Which programs have to end: those that were too large for a moment, and as long as the others still take too much together,
 * the largest of the group that takes the most. So nobody loses a program to many smaller ones of somebody else.
 */
export function findMemoryExcess<Program>(
  uses: ReadonlyMap<Program, GroupUse>,
  { aloneBytes, togetherBytes }: MemoryLimits,
): ReadonlyMap<Program, MemoryExcess> {
  const found = new Map<Program, MemoryExcess>();
  const rest = new Map<Program, GroupUse>();
  for (const [program, use] of uses) {
    if (use.peakBytes > aloneBytes) {
      found.set(program, { is: 'alone', bytes: use.peakBytes });
    } else {
      rest.set(program, use);
    }
  }
  for (let largest = findLargest(rest, togetherBytes); largest; largest = findLargest(rest, togetherBytes)) {
    const [program, { bytes }] = largest;
    found.set(program, { is: 'together', bytes });
    rest.delete(program);
  }
  return found;
}

/** Of the group that takes the most; undefined when there is room for all. */
function findLargest<Program>(
  uses: ReadonlyMap<Program, GroupUse>,
  togetherBytes: number,
): readonly [Program, GroupUse] | undefined {
  let sumBytes = 0;
  const sums = new Map<string, number>();
  for (const { group, bytes } of uses.values()) {
    sumBytes += bytes;
    sums.set(group, (sums.get(group) ?? 0) + bytes);
  }
  const sumOf = ({ group }: GroupUse): number => sums.get(group) ?? 0;
  const sorted = [...uses].toSorted(([, a], [, b]) => sumOf(b) - sumOf(a) || b.bytes - a.bytes);
  return sumBytes > togetherBytes ? sorted[0] : undefined;
}

/**
 * Watches how much memory programs take, by what the kernel tells of them: what one had between two looks is seen as its
 * peak at the next. Where there is no /proc, nothing is known and nothing is watched.
 */
export class MemoryBudget {
  readonly #limits: () => MemoryLimits;
  readonly #watched = new Set<WatchedProgram>();
  #timer: NodeJS.Timeout | undefined;

  /** `limits` are asked at every look, so that they may change. */
  constructor(limits: () => MemoryLimits) {
    this.#limits = limits;
  }

  /** `onExceeded` is called at most once. Returns what ends the watch. */
  watch(watched: WatchedProgram): () => void {
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.#look(), INTERVAL_MS);
    return () => this.#leave(watched);
  }

  #look(): void {
    const uses = new Map<WatchedProgram, GroupUse>();
    for (const watched of this.#watched) {
      const use = readUse(watched.pid);
      if (use) {
        uses.set(watched, { ...use, group: watched.group });
      }
    }
    for (const [watched, excess] of findMemoryExcess(uses, this.#limits())) {
      this.#leave(watched);
      watched.onExceeded(excess);
    }
  }

  #leave(watched: WatchedProgram): void {
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
