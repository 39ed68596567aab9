import type { Reference } from '../images/reference.ts';
import type { RegistryFailure, RegistrySide } from '../errors.ts';

/** A copy that a workload needs. */
export interface CopyRequest {
  readonly source: Reference;
  /**
   * What a Ready pod of the workload runs of this source. It is what gets backed up, and only it proves that the
   * workload's owner may read the image; undefined while no pod shows it.
   */
  readonly runningDigest?: string;
}

/** What is known of a copy; nothing is known of one that nobody has asked for. */
export type CopyState =
  | { readonly phase: 'pending' }
  | { readonly phase: 'verified'; readonly digest: string; readonly written: string }
  | {
      readonly phase: 'failed';
      readonly reason: RegistryFailure;
      readonly side: RegistrySide;
      readonly message: string;
    };
