/** What a hostile tenant may not bring about, as functions from what was measured to what is wrong with it. Pure. */
import type { Block } from './loop-probe.ts';

export const INVARIANTS = [
  'copies',
  'swaps',
  'event loop',
  'lease',
  'health',
  'memory',
  'images',
  'tags',
] as const;
export type Invariant = (typeof INVARIANTS)[number];

/** Something that may not be. */
export interface Finding {
  readonly invariant: Invariant;
  /** As `Date.now()`: what happened before it may be the cause. */
  readonly atMs: number;
  readonly what: string;
}

/** How long something took for a tenant who does no harm. */
export interface Sample {
  readonly startedAtMs: number;
  /** Undefined: it never came. */
  readonly endedAtMs: number | undefined;
  /** Even: others alone; odd: beside the hostile tenant. The first is 0. */
  readonly turn: number;
}

/** Others may take so many times what they take alone. */
const MOST_TIMES = 2;
/** Fewer are no measurement. */
const FEWEST_SAMPLES = 5;

export function findMedian(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] =
    sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1);
  return (low + high) / 2;
}

/** What has not come counts with the time for which it was waited. */
function toDurations(samples: readonly Sample[], endMs: number): readonly number[] {
  return samples.map(({ startedAtMs, endedAtMs = endMs }) => endedAtMs - startedAtMs);
}

export interface Shares {
  /** Before the hostile tenant has done anything, and whenever it rests. */
  readonly first: readonly number[];
  readonly alone: readonly number[];
  readonly beside: readonly number[];
}

/** Durations, in milliseconds. */
export function readShares(samples: readonly Sample[], endMs: number): Shares {
  const pick = (isWanted: (turn: number) => boolean): readonly number[] =>
    toDurations(
      samples.filter(({ turn }) => isWanted(turn)),
      endMs,
    );
  return {
    first: pick((turn) => turn === 0),
    alone: pick((turn) => turn % 2 === 0),
    beside: pick((turn) => turn % 2 === 1),
  };
}

/** Medians, so that one slow moment of the machine is none of the tenant's doing. */
export function checkShares(
  invariant: 'copies' | 'swaps',
  samples: readonly Sample[],
  endMs: number,
): readonly Finding[] {
  const { first, alone, beside } = readShares(samples, endMs);
  if (alone.length < FEWEST_SAMPLES || beside.length < FEWEST_SAMPLES) {
    const what = `only ${alone.length} ${invariant} alone and ${beside.length} beside the hostile tenant were measured`;
    return [{ invariant, atMs: endMs, what }];
  }
  const [firstMs, aloneMs, besideMs] = [first, alone, beside].map(findMedian) as [number, number, number];
  const limitMs = MOST_TIMES * aloneMs;
  const missing = samples.find(({ endedAtMs }) => endedAtMs === undefined);
  return [
    besideMs > limitMs && {
      atMs: findSlow(samples, limitMs) ?? endMs,
      what: `${invariant} of others take ${toSeconds(besideMs)} beside the hostile tenant, and ${toSeconds(aloneMs)} alone`,
    },
    aloneMs > MOST_TIMES * firstMs && {
      atMs: endMs,
      what: `${invariant} take ${toSeconds(aloneMs)} when the hostile tenant has gone, and took ${toSeconds(firstMs)} before it`,
    },
    missing !== undefined && {
      atMs: missing.startedAtMs,
      what: `one of the ${invariant} of others has not come in ${toSeconds(endMs - missing.startedAtMs)}`,
    },
  ].flatMap((found) => (found === false ? [] : [{ invariant, ...found }]));
}

/** When the first thing began that took too long. */
function findSlow(samples: readonly Sample[], limitMs: number): number | undefined {
  return samples.find(
    ({ turn, startedAtMs, endedAtMs = Infinity }) => turn % 2 === 1 && endedAtMs - startedAtMs > limitMs,
  )?.startedAtMs;
}

function toSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

const LONGEST_BLOCK_MS = 200;

export function checkBlocks(blocks: readonly Block[]): readonly Finding[] {
  return blocks
    .filter(({ cpuMs }) => cpuMs > LONGEST_BLOCK_MS)
    .map(({ atMs, cpuMs, wallMs }) => ({
      invariant: 'event loop',
      atMs,
      what: `the event loop was blocked for ${cpuMs} ms of CPU (${wallMs} ms)`,
    }));
}

/** Of the Lease object. */
export interface LeaseState {
  readonly holder: string;
  readonly transitions: number;
  readonly renewedAtMs: number;
  readonly durationMs: number;
}

/** Compares with the Lease as it was at the beginning; a holder that is late has lost it to whoever waits for it. */
export function checkLease(
  before: LeaseState,
  { holder, transitions, renewedAtMs, durationMs }: LeaseState,
  nowMs: number,
): readonly Finding[] {
  const wrong = (what: string): readonly Finding[] => [{ invariant: 'lease', atMs: nowMs, what }];
  if (holder !== before.holder || transitions !== before.transitions) {
    return wrong(`the Lease went from ${before.holder} to ${holder}, transitions ${transitions}`);
  }
  const ageMs = nowMs - renewedAtMs;
  return ageMs > durationMs ? wrong(`the Lease was not renewed for ${toSeconds(ageMs)}`) : [];
}

/** Of the container in the manifest. */
const MEMORY_LIMIT_BYTES = 256 * 1024 * 1024;

/** Of one process of the pod, in bytes. */
export interface ProcessMemory {
  readonly program: string;
  /** What it has for itself. */
  readonly anonymousBytes: number;
  /** Of its program and libraries: there once, however many processes run it. */
  readonly fileBytes: number;
}

/** As a control group counts. */
export function sumMemory(processes: readonly ProcessMemory[]): number {
  const own = processes.reduce((sum, { anonymousBytes }) => sum + anonymousBytes, 0);
  const files = Object.values(Object.groupBy(processes, ({ program }) => program)).map((same = []) =>
    Math.max(...same.map(({ fileBytes }) => fileBytes)),
  );
  return own + files.reduce((sum, bytes) => sum + bytes, 0);
}

export function toMib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}

export function checkMemory(processes: readonly ProcessMemory[], nowMs: number): readonly Finding[] {
  const bytes = sumMemory(processes);
  const list = processes
    .map(({ program, anonymousBytes }) => `${program} ${toMib(anonymousBytes)}`)
    .join(', ');
  return bytes > MEMORY_LIMIT_BYTES
    ? [{ invariant: 'memory', atMs: nowMs, what: `the pod takes ${toMib(bytes)}: ${list}` }]
    : [];
}

/** What a workload or its pods may have in place of an image: the text, or its copy. */
export interface Expected {
  readonly image: string;
  readonly copy: string;
  readonly digest: string;
}

export function checkImage(
  name: string,
  image: string,
  { image: own, copy }: Expected,
  nowMs: number,
): readonly Finding[] {
  return image === own || image === copy
    ? []
    : [{ invariant: 'images', atMs: nowMs, what: `${name} was given ${image}, and not ${own} or ${copy}` }];
}

export function checkImageId(
  name: string,
  imageId: string,
  { digest }: Expected,
  nowMs: number,
): readonly Finding[] {
  return imageId === '' || imageId.endsWith(`@${digest}`)
    ? []
    : [
        {
          invariant: 'images',
          atMs: nowMs,
          what: `a pod of ${name} runs ${imageId}, and its source gave ${digest}`,
        },
      ];
}

/** `found`: what the plain tag means in the backup; undefined while there is none. */
export function checkTag(
  tag: string,
  found: string | undefined,
  digest: string,
  nowMs: number,
): readonly Finding[] {
  return found === undefined || found === digest
    ? []
    : [
        {
          invariant: 'tags',
          atMs: nowMs,
          what: `${tag} in the backup means ${found}, and its source gave ${digest}`,
        },
      ];
}

/** Red, or silent, that often in a row is the end of the container. */
const MOST_RED = 3;

export function checkHealth(
  answers: readonly { readonly atMs: number; readonly isGreen: boolean }[],
): readonly Finding[] {
  const last = answers.slice(-MOST_RED);
  const isRed = last.length === MOST_RED && last.every(({ isGreen }) => !isGreen);
  return isRed
    ? [{ invariant: 'health', atMs: last[0]?.atMs ?? 0, what: `/healthz was red ${MOST_RED} times in a row` }]
    : [];
}
