import type { Slot } from './workload.ts';

/** Annotations of this project all begin with this. */
export const ANNOTATION_DOMAIN = 'backup-image-registry';
const ORIGINAL_IMAGES = `${ANNOTATION_DOMAIN}/original-images`;
const STATUS = `${ANNOTATION_DOMAIN}/status`;
/** Of the form of `status`; one that this version does not know is treated as absent. */
const STATUS_VERSION = 1;

/** Swapping suspended after copies could not be run, for as long as the workload has these very images. */
export interface Hold {
  readonly untilMs: number;
  /** How often it was tried in vain; every time the hold is longer. */
  readonly failures: number;
  /** Images that were put back, by slot key. */
  readonly images: ReadonlyMap<string, string>;
  /** Value of the annotation `refresh` when it began: another one ends it. */
  readonly refresh?: string;
}

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

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
}

/** A map, because a container may be called `constructor`. */
function toMap(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
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
      };
}

/** Reads what is recorded; anything that a hand has made unreadable counts as not recorded. */
export function parseRecord(annotations: Readonly<Record<string, string>>): SwapRecord {
  const status = toMap(parseJson(annotations[STATUS]));
  if (status.get('v') !== STATUS_VERSION) {
    return NOTHING;
  }
  const hold = parseHold(status.get('hold'));
  return {
    originals: toTextMap(parseJson(annotations[ORIGINAL_IMAGES])),
    copies: toTextMap(status.get('copies')),
    before: toTextMap(status.get('before')),
    swappedAtMs: parseTimeMs(status.get('swappedAt')),
    ...(hold && { hold }),
  };
}

/** The annotations; one that has nothing to say is removed. */
export function formatRecord(record: SwapRecord): Record<string, string | null> {
  const { originals, copies, before, swappedAtMs, hold } = record;
  return {
    [ORIGINAL_IMAGES]: originals.size === 0 ? null : JSON.stringify(Object.fromEntries(originals)),
    [STATUS]: JSON.stringify({
      v: STATUS_VERSION,
      swappedAt: new Date(swappedAtMs).toISOString(),
      copies: Object.fromEntries(copies),
      ...(before.size > 0 && { before: Object.fromEntries(before) }),
      ...(hold && {
        hold: {
          until: new Date(hold.untilMs).toISOString(),
          failures: hold.failures,
          images: Object.fromEntries(hold.images),
          refresh: hold.refresh,
        },
      }),
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
export function bearsRecord(annotations: Readonly<Record<string, string>>): boolean {
  return planNoRecord(annotations) !== undefined;
}

/** Slots of the last swap that still hold what it put there. */
export function findSwappedSlots(slots: readonly Slot[], { copies, before }: SwapRecord): readonly Slot[] {
  return slots.filter((slot) => before.has(slotKey(slot)) && copies.get(slotKey(slot)) === slot.image);
}
