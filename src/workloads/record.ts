import { annotationKey } from './annotations.ts';
import { MOST_PULL_SECRETS, MOST_SLOTS } from './size-limits.ts';
import type { Slot } from './workload.ts';

const ORIGINAL_IMAGES = annotationKey('original-images');
const STATUS = annotationKey('status');
/** Of the form of `status`; one that this version does not know is treated as absent. */
const STATUS_VERSION = 1;

/**
 * Quotes and brackets in one annotation. The most that a swap writes is 5,800: four quotes for each of 100 slots in `copies`,
 * `before` and `hold`, and for ten former copies of each, besides a few hundred. The length is no measure of it, because
 * long image names may take all that the API server allows.
 */
const MOST_SIGNS = 8_000;
const SIGNS = new Set(['"', '[', '{'].map((sign) => sign.charCodeAt(0)));

/** Swapping suspended after copies could not be run, for as long as the workload has these very images. */
export interface Hold {
  readonly untilMs: number;
  /** How often it was tried in vain; every time the hold is longer. */
  readonly failures: number;
  /** Images that were put back, by slot key. */
  readonly images: ReadonlyMap<string, string>;
  /** Value of the annotation `refresh` when it began: another one ends it. */
  readonly refresh?: string | undefined;
  /** Nodes could pull the copies: they are still good for a rescue. */
  readonly isPullable?: boolean;
}

/** Originals that somebody else has put back after a swap, again and again until somebody deploys another image. */
export interface Reverts {
  /** How often since `sinceMs`. */
  readonly count: number;
  readonly sinceMs: number;
  /** `swappedAtMs` of the swap that was reverted last: the one that has been reckoned with. */
  readonly ofMs: number;
  /** How often it has led to a hold; every one is longer. */
  readonly holds: number;
  /** End of the last hold. */
  readonly untilMs?: number;
  /** Value of the annotation `refresh` when it began: another one ends it. */
  readonly refresh?: string | undefined;
}

/** By slot key, the newest last: copies that a slot has held, and the originals that they are copies of. */
export type FormerOriginals = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What a swap, or its undoing, wrote down on the workload, by slot key. */
export interface SwapRecord {
  /** Exactly as the user wrote them. */
  readonly originals: ReadonlyMap<string, string>;
  /** What stood in the slots after the swap. */
  readonly copies: ReadonlyMap<string, string>;
  /** What stood in the slots of the last swap before it: the originals, or copies of an earlier one. */
  readonly before: ReadonlyMap<string, string>;
  readonly swappedAtMs: number;
  readonly hold?: Hold;
  /** Of the workload that was swapped: a record that came along in a manifest proves nothing about this one. */
  readonly uid?: string | undefined;
  readonly reverts?: Reverts | undefined;
  /** The field manager that owned an image by server-side apply, and would meet a conflict with us. */
  readonly appliedBy?: string | undefined;
  /** The entry of `imagePullSecrets` that a swap has added; one that was there before is the user's. */
  readonly pullSecret?: string;
  /** Of copies that the slots do not hold any more, and that an earlier revision may bring back. */
  readonly former?: FormerOriginals;
  /** Entries that the swap has added for the pods to keep what their ServiceAccount gave them before. */
  readonly keptSecrets?: readonly string[];
  /** The workload served when it was swapped: pods that do not get ready since then are a failure of the swap. */
  readonly hasServed?: boolean;
}

const NOTHING: SwapRecord = {
  originals: new Map(),
  copies: new Map(),
  before: new Map(),
  swappedAtMs: 0,
};

/** Name of a slot in the annotations: containers by name, image volumes apart from them. */
export function slotKey(slot: Pick<Slot, 'place' | 'name'>): string {
  return slot.place === 'volumes' ? `volume:${slot.name}` : slot.name;
}

/** Linear, and nothing beside what `JSON.parse` takes for a text of 256 KiB that is full of names. */
function saysTooMuch(text: string): boolean {
  let signs = 0;
  for (let at = 0; at < text.length && signs <= MOST_SIGNS; at += 1) {
    signs += Number(SIGNS.has(text.charCodeAt(at)));
  }
  return signs > MOST_SIGNS;
}

function parseJson(text: string | undefined): unknown {
  if (!text || saysTooMuch(text)) {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A map, because a container may be called `constructor`; of no more entries than there can be slots. */
function toMap(value: unknown): ReadonlyMap<string, unknown> {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  return new Map(isMap ? Object.entries(value).slice(0, MOST_SLOTS) : []);
}

function toTextMap(value: unknown): ReadonlyMap<string, string> {
  return new Map(
    [...toMap(value)].filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function parseTimeMs(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) || 0 : 0;
}

function parseHold(value: unknown): Hold | undefined {
  const hold = toMap(value);
  const untilMs = parseTimeMs(hold.get('until'));
  const failures = hold.get('failures');
  const refresh = hold.get('refresh');
  return untilMs === 0
    ? undefined
    : {
        untilMs,
        failures: typeof failures === 'number' ? failures : 1,
        images: toTextMap(hold.get('images')),
        ...(typeof refresh === 'string' && { refresh }),
        ...(hold.get('isPullable') === true && { isPullable: true }),
      };
}

function parseSecretName(value: unknown): string | undefined {
  const LONGEST = 253;
  return typeof value === 'string' && value !== '' && value.length <= LONGEST ? value : undefined;
}

function parseSecretNames(value: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(value) ? value.slice(0, MOST_PULL_SECRETS) : [];
  return names.flatMap((name) => parseSecretName(name) ?? []);
}

function parseCount(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function parseReverts(value: unknown): Reverts | undefined {
  const reverts = toMap(value);
  const untilMs = parseTimeMs(reverts.get('until'));
  const refresh = reverts.get('refresh');
  return reverts.size === 0
    ? undefined
    : {
        count: parseCount(reverts.get('count')),
        sinceMs: parseTimeMs(reverts.get('since')),
        ofMs: parseTimeMs(reverts.get('of')),
        holds: parseCount(reverts.get('holds')),
        ...(untilMs > 0 && { untilMs }),
        ...(typeof refresh === 'string' && { refresh }),
      };
}

function parseFormer(value: unknown): Pick<SwapRecord, 'former'> {
  const former = new Map([...toMap(value)].map(([key, copies]) => [key, toTextMap(copies)]));
  return former.size > 0 ? { former } : {};
}

function parseOptions(status: ReadonlyMap<string, unknown>): Partial<SwapRecord> {
  const hold = parseHold(status.get('hold'));
  const reverts = parseReverts(status.get('reverts'));
  const pullSecret = parseSecretName(status.get('pullSecret'));
  const keptSecrets = parseSecretNames(status.get('keptSecrets'));
  const [uid, appliedBy] = [status.get('uid'), status.get('appliedBy')];
  return {
    ...(hold && { hold }),
    ...(reverts && { reverts }),
    ...(pullSecret !== undefined && { pullSecret }),
    ...(keptSecrets.length > 0 && { keptSecrets }),
    ...(status.get('hasServed') === true && { hasServed: true }),
    ...(typeof uid === 'string' && { uid }),
    ...(typeof appliedBy === 'string' && { appliedBy }),
    ...parseFormer(status.get('former')),
  };
}

/**
 * Reads what is recorded; anything that a hand has made unreadable counts as not recorded. Originals alone are kept for a
 * restore, and prove nothing.
 */
export function parseRecord(annotations: Readonly<Record<string, string>>): SwapRecord {
  const originals = toTextMap(parseJson(annotations[ORIGINAL_IMAGES]));
  const status = toMap(parseJson(annotations[STATUS]));
  if (status.get('v') !== STATUS_VERSION) {
    return { ...NOTHING, originals };
  }
  return {
    originals,
    copies: toTextMap(status.get('copies')),
    before: toTextMap(status.get('before')),
    swappedAtMs: parseTimeMs(status.get('swappedAt')),
    ...parseOptions(status),
  };
}

function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function formatReverts({ count, sinceMs, ofMs, holds, untilMs, refresh }: Reverts): object {
  return {
    count,
    since: formatTime(sinceMs),
    of: formatTime(ofMs),
    holds,
    ...(untilMs !== undefined && { until: formatTime(untilMs) }),
    refresh,
  };
}

function formatFormer(former: FormerOriginals): object {
  return Object.fromEntries([...former].map(([key, copies]) => [key, Object.fromEntries(copies)]));
}

/** The annotations; one that has nothing to say is removed. */
export function formatRecord(record: SwapRecord): Record<string, string | null> {
  const { originals, copies, before, swappedAtMs, hold, uid, reverts, appliedBy, former } = record;
  const { pullSecret, keptSecrets, hasServed } = record;
  return {
    [ORIGINAL_IMAGES]: originals.size === 0 ? null : JSON.stringify(Object.fromEntries(originals)),
    [STATUS]: JSON.stringify({
      v: STATUS_VERSION,
      swappedAt: formatTime(swappedAtMs),
      copies: Object.fromEntries(copies),
      pullSecret,
      keptSecrets,
      hasServed,
      ...(before.size > 0 && { before: Object.fromEntries(before) }),
      ...(hold && {
        hold: {
          until: formatTime(hold.untilMs),
          failures: hold.failures,
          images: Object.fromEntries(hold.images),
          refresh: hold.refresh,
          isPullable: hold.isPullable,
        },
      }),
      ...(uid !== undefined && { uid }),
      ...(reverts && { reverts: formatReverts(reverts) }),
      ...(appliedBy !== undefined && { appliedBy }),
      ...(former && { former: formatFormer(former) }),
    }),
  };
}

/** Takes every word of ours off a workload; undefined when there is none. */
export function planNoRecord(
  annotations: Readonly<Record<string, string>>,
): Record<string, null> | undefined {
  const ours = [ORIGINAL_IMAGES, STATUS].filter((key) => Object.hasOwn(annotations, key));
  return ours.length === 0 ? undefined : Object.fromEntries(ours.map((key) => [key, null]));
}

/** True when something of ours is written on a workload. */
export function hasRecord(annotations: Readonly<Record<string, string>>): boolean {
  return planNoRecord(annotations) !== undefined;
}

/** Slots of the last swap that still hold what it put there. */
export function findSwappedSlots(slots: readonly Slot[], { copies, before }: SwapRecord): readonly Slot[] {
  return slots.filter((slot) => before.has(slotKey(slot)) && copies.get(slotKey(slot)) === slot.image);
}
