import type { RegistryFailure, RegistrySide } from '../../errors.ts';
import type { Reference } from '../../images/reference.ts';

/** A copy that a workload needs. */
export interface CopyRequest {
  readonly source: Reference;
  /** What the workload runs of this source, and what gets backed up; undefined while no pod shows it. */
  readonly digest?: string;
  /**
   * A Ready pod of the workload runs this very digest. Only that proves that the workload's owner may read the
   * image: without it, nothing is copied that not everybody may read.
   */
  readonly isProven: boolean;
  /** The workload runs, and yet no pod shows what it runs in this slot: no proof is to be waited for. */
  readonly isUnprovable?: boolean;
  /** Nodes cannot pull the image: what the backup has of it will do, whatever the source says. */
  readonly isRescue?: boolean;
}

/** A digest in the backup, and the image text with which a pod runs it. */
export interface Copy {
  readonly digest: string;
  readonly written: string;
}

/** What has become of the tag at the source since the copy was made; known from the first re-check on. */
export type SourceChange =
  | { readonly is: 'gone' }
  /** The tag means another image now, which is in the backup as well. */
  | { readonly is: 'moved'; readonly copy: Copy };

export interface VerifiedCopy extends Copy {
  readonly phase: 'verified';
  /** When this process made the copy; undefined when it was found in the backup. */
  readonly copiedAtMs?: number;
  /** Only a part of it was missing at that time. */
  readonly isCompleted?: boolean;
  readonly sourceChange?: SourceChange;
  /** Known of a copy that is to rescue: whether everybody could read the image at its source. */
  readonly isPublic?: boolean;
}

export interface FailedCopy {
  readonly phase: 'failed';
  readonly reason: RegistryFailure;
  readonly side: RegistrySide;
  readonly message: string;
  /** Waits for somebody to change something; another failure may pass by itself. */
  readonly isFinal: boolean;
  /** Of the first failure in a row. */
  readonly sinceMs: number;
}

/** What is known of a copy; nothing is known of one that nobody has asked for. */
export type CopyState = { readonly phase: 'pending' } | VerifiedCopy | FailedCopy;
