/** Of one copy that is being made. */
export interface CopyMeasures {
  readonly layers: number;
  readonly layersDone: number;
  readonly bytesBegun: number;
  readonly bytesDone: number;
}

/** How far the copy of an image is. Closed set: a label. */
type ImageState = 'pending' | 'verified' | 'failed' | 'unexplained';

/** How things are at one moment: the one model of the state for all that show it. */
export interface Snapshot {
  readonly hasLease: boolean;
  /** The newest ConfigMap is in force. */
  readonly areSettingsApplied: boolean;
  /** Images that workloads wait for, by how far their copy is. */
  readonly images: Readonly<Record<ImageState, number>>;
  readonly copiesInFlight: readonly CopyMeasures[];
  /** Downloads that sources still allow, of the few hosts that tell. */
  readonly allowances: readonly { readonly host: string; readonly remaining: number }[];
  /** Workloads that roll out because of us. */
  readonly rollouts: number;
  /** Workloads that have the record of a swap. */
  readonly recorded: number;
  /** Everywhere. */
  readonly isSwappingStopped: boolean;
  /** Namespaces in which swapping is stopped, each for itself. */
  readonly stoppedNamespaces: number;
}

export type SnapshotReader = () => Snapshot;

/** Before anything is known. */
export const EMPTY_SNAPSHOT: Snapshot = {
  hasLease: false,
  areSettingsApplied: false,
  images: { pending: 0, verified: 0, failed: 0, unexplained: 0 },
  copiesInFlight: [],
  allowances: [],
  rollouts: 0,
  recorded: 0,
  isSwappingStopped: false,
  stoppedNamespaces: 0,
};
