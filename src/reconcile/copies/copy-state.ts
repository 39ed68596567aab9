import type { AbsentParts, RegistryFailure, RegistrySide } from '../../errors.ts';
import type { Reference } from '../../images/reference.ts';

/** A copy in a backup of earlier settings, which a slot still holds. */
export interface FormerCopy {
  /** Pinned. */
  readonly image: Reference & { readonly digest: string };
  /** Ready pods run it from there: the workload may read it. */
  readonly isShown: boolean;
}

/** A copy that a workload needs. */
export interface CopyRequest {
  readonly source: Reference;
  /** What gets backed up, where the slot itself says so: it holds a copy of that digest, or held one. */
  readonly digest?: string;
  /** SOURCE_HOSTS does not name the registry of the source any more: only what was copied from there before may be asked. */
  readonly isSourceBarred?: boolean;
  /** Where copies of that digest were before the settings changed: what is gone at its source comes from one of them. */
  readonly formers?: readonly FormerCopy[];
  /**
   * Other digests that Ready pods of the workload report for the slot in the repository of the source, the most frequent
   * first: of what gets backed up, or of a part of it for one platform. Where nothing else says so, they say what is.
   */
  readonly reported?: readonly string[];
  /** The same in other repositories, such as a mirror: only to be compared with. */
  readonly elsewhere?: readonly string[];
  /**
   * Ready pods of the workload run the very digest that is pinned or held. Only pods prove that the workload's owner may
   * read the image: without that, nothing is copied that not everybody may read.
   */
  readonly isProven: boolean;
  /** The workload runs, and yet no pod shows what it runs in this slot: no proof is to be waited for. */
  readonly isUnprovable?: boolean;
  /** A swap to a copy of it had to be undone: the copy is looked at closely before it is used again. */
  readonly isDoubted?: boolean;
  /** Nodes cannot pull the image: what the backup has of it will do, whatever the source says. */
  readonly isRescue?: boolean;
  /** The source is an image below the prefix itself, of which nobody knows what it is a copy of. */
  readonly isUnexplained?: boolean;
}

/** A digest in the backup, and the image text with which a pod runs it. */
export interface Copy {
  readonly digest: string;
  readonly image: string;
}

/** What has become of the tag at the source since the copy was made; known from the first re-check on. */
export type SourceChange =
  | { readonly is: 'gone' }
  /** The tag means another image now, which is in the backup as well. */
  | { readonly is: 'moved'; readonly copy: Copy };

export interface VerifiedCopy extends Copy {
  readonly phase: 'verified';
  /** When the backup was last seen to have it. Another time does not make it another outcome. */
  readonly provenAtMs?: number;
  /** Why it could not be looked at since, where somebody has to change something. */
  readonly checkProblem?: string;
  /** Of the digests that pods report, those that are neither this image nor a part of it. */
  readonly unlike?: readonly string[];
  /** It is the manifest of one platform, and nobody knows the index that it belongs to. */
  readonly isOnePlatform?: boolean;
  /** When this process made the copy; undefined when it was found in the backup. */
  readonly copiedAtMs?: number;
  /** Only a part of it was missing at that time. */
  readonly isCompleted?: boolean;
  /** The backup did not say what it had before this process made the copy. */
  readonly isUnseen?: boolean;
  /** What the source does not have of the image, nor the copy: it is for some platforms only. */
  readonly absent?: AbsentParts;
  /** Why its signatures, attestations and SBOMs were not copied along: tried again with every look. */
  readonly referrersProblem?: string;
  /** The former copy that this process has copied it from. */
  readonly movedFrom?: string;
  readonly sourceChange?: SourceChange;
  /** Known of a copy that is to rescue: whether everybody could read the image at its source, or ready pods run it. */
  readonly isPublic?: boolean;
  readonly isShown?: boolean;
}

/** True for a copy that pods on nodes of other platforms could not start from. */
export function isForOnePlatform(copy: CopyState | undefined): copy is VerifiedCopy {
  return copy?.phase === 'verified' && copy.isOnePlatform === true;
}

export interface FailedCopy {
  readonly phase: 'failed';
  readonly reason: RegistryFailure;
  readonly side: RegistrySide;
  readonly message: string;
  /** Waits for somebody to change something; another failure may pass by itself. */
  readonly isFinal: boolean;
  /** The backup itself has said that it does not have the copy, or not all of it. */
  readonly isMissing?: boolean;
  /** Of the first failure in a row. */
  readonly sinceMs: number;
}

/** What is known of a copy; nothing is known of one that nobody has asked for. */
export type CopyState = { readonly phase: 'pending' } | VerifiedCopy | FailedCopy;
