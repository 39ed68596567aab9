import type { Slot } from './workload.ts';

/** Annotations of this project all begin with this. */
export const ANNOTATION_DOMAIN = 'backup-image-registry';
const ORIGINAL_IMAGES = `${ANNOTATION_DOMAIN}/original-images`;
const STATUS = `${ANNOTATION_DOMAIN}/status`;
/** Of the form of `status`; one that this version does not know is treated as absent. */
const STATUS_VERSION = 1;

/** What a swap wrote down on the workload, by slot key. */
export interface SwapRecord {
  /** Exactly as the user wrote them. */
  readonly originals: ReadonlyMap<string, string>;
  /** What stood in the slots after the swap. */
  readonly copies: ReadonlyMap<string, string>;
  /** Generation of the workload that the swap made. */
  readonly generation: number;
  readonly swappedAtMs: number;
}

const NOTHING: SwapRecord = { originals: new Map(), copies: new Map(), generation: 0, swappedAtMs: 0 };

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

/** Reads what is recorded; anything that a hand has made unreadable counts as not recorded. */
export function parseRecord(annotations: Readonly<Record<string, string>>): SwapRecord {
  const status = toMap(parseJson(annotations[STATUS]));
  if (status.get('v') !== STATUS_VERSION) {
    return NOTHING;
  }
  const generation = status.get('generation');
  const swappedAt = status.get('swappedAt');
  return {
    originals: toTextMap(parseJson(annotations[ORIGINAL_IMAGES])),
    copies: toTextMap(status.get('copies')),
    generation: typeof generation === 'number' ? generation : 0,
    swappedAtMs: typeof swappedAt === 'string' ? Date.parse(swappedAt) || 0 : 0,
  };
}

export function formatRecord(record: SwapRecord): Record<string, string> {
  const { originals, copies, generation, swappedAtMs } = record;
  return {
    [ORIGINAL_IMAGES]: JSON.stringify(Object.fromEntries(originals)),
    [STATUS]: JSON.stringify({
      v: STATUS_VERSION,
      swappedAt: new Date(swappedAtMs).toISOString(),
      generation,
      copies: Object.fromEntries(copies),
    }),
  };
}
