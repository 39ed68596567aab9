import type { RegistrySide } from '../../errors.ts';
import type { Reference } from '../../images/reference.ts';
import type { Credential } from '../credentials/credentials.ts';

/** One image at one registry, and how to talk to it. */
export interface ImageAccess {
  readonly reference: Reference;
  readonly side: RegistrySide;
  readonly credential: Credential | undefined;
  /** There is none, although one is meant to be. */
  readonly isLoginBroken?: boolean;
  /** Hosts spoken to in plain http. */
  readonly insecureRegistries: readonly string[];
  readonly signal: AbortSignal;
  /** Asked as somebody else than copies are made as: what is left for that one is not what is left for us. */
  readonly isProbe?: boolean;
  /** As large as its index says it is: what has more cannot be it, and is not read. */
  readonly mostBytes?: number;
}

export type PinnedAccess = ImageAccess & {
  readonly reference: { readonly digest: string };
};

/** What a registry says of a manifest. Only the digest has been compared with anything. */
export interface ManifestHead {
  readonly digest: string;
  /** Empty when it does not say. */
  readonly mediaType: string;
  /** Undefined when it does not say. */
  readonly sizeBytes: number | undefined;
}
