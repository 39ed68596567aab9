import type { Clock } from '../clock.ts';
import { InvalidImageError, RegistryError, type RegistrySide, UsageError } from '../errors.ts';
import { formatReference } from '../images/reference.ts';
import type { CopyInFlight } from '../reconcile/ports.ts';
import type { FindAbsentParts } from './content/absent-parts.ts';
import type { FindRefusalCause } from './content/refusal-cause.ts';
import type { ReadContent } from './content/content-reader.ts';
import type { ListLayers } from './content/image-layers.ts';
import type { CheckSize } from './content/image-size.ts';
import type { FindCredential } from './credentials/credential-finder.ts';
import type { CopyEngine } from './engine/regctl.ts';
import { DownloadsKeptError, type HostAllowances } from './limits/host-allowances.ts';
import type { LayerSharing } from './layers/layer-sharing.ts';
import type { HostPauses } from './limits/host-pauses.ts';
import type { ImageAccess } from './manifests/image-access.ts';
import type { LayerClient } from './manifests/layer-client.ts';
import type { ManifestClient } from './manifests/manifests.ts';
import type { CopyTurns } from './limits/copy-turns.ts';

/** What may change while the controller runs. */
export interface RegistrySettings {
  /** Engines that run at the same time. */
  readonly copyConcurrency: number;
  readonly copyTimeoutMs: number;
  /** Hosts, with their port, that are spoken to in plain http. */
  readonly insecureRegistries: readonly string[];
  /** Copy signatures, attestations and SBOMs along with an image. */
  readonly copyReferrers: boolean;
}

/** What looking up and copying have in common. */
export interface RegistryContext {
  readonly settings: () => RegistrySettings;
  readonly engine: CopyEngine;
  readonly manifests: ManifestClient;
  readonly read: ReadContent;
  /** A manifest of this digest needs no request to be read. */
  readonly isRead: (digest: string) => boolean;
  readonly checkSize: CheckSize;
  readonly findAbsentParts: FindAbsentParts;
  readonly findRefusalCause: FindRefusalCause;
  readonly listLayers: ListLayers;
  readonly layers: Pick<LayerClient, 'tryUpload'>;
  readonly sharing: LayerSharing;
  readonly find: FindCredential;
  readonly pauses: HostPauses;
  readonly allowances: HostAllowances;
  readonly clock: Clock;
  readonly turns: CopyTurns;
  /** To look at what is to be copied: as many at a time, so that no namespace has all of them. */
  readonly looks: CopyTurns;
  /** As many as engines run; each tells how far it is when it is asked. */
  readonly flights: Set<() => CopyInFlight>;
  /** Told how many bytes of a layer were sent. */
  readonly onSent: (bytes: number) => void;
  /** Told how many bytes a layer has that was mounted. */
  readonly onMounted: (bytes: number) => void;
  readonly progressIntervalMs: number;
}

export type ManifestLookup = Pick<ImageAccess, 'reference' | 'side' | 'signal'>;

/** @throws {UsageError} when the credentials cannot be read. */
export async function access(context: RegistryContext, lookup: ManifestLookup): Promise<ImageAccess> {
  const { credential, problem } = await context.find(lookup.reference, lookup.side, lookup.signal);
  const { insecureRegistries } = context.settings();
  return { ...lookup, credential, insecureRegistries, ...(problem !== undefined && { isLoginBroken: true }) };
}

/** Leaves a registry alone that asked for it, and takes note when it asks. */
export async function withHostBackoff<Result>(
  context: RegistryContext,
  lookup: ManifestLookup,
  ask: () => Promise<Result>,
): Promise<Result> {
  const { pauses } = context;
  const { reference, side } = lookup;
  pauses.check(reference.host, side, `looking up ${formatReference(reference)}`);
  try {
    return await ask();
  } catch (error) {
    const isAsked =
      error instanceof RegistryError &&
      error.reason === 'RateLimited' &&
      !(error instanceof DownloadsKeptError);
    if (isAsked && error.side === side && error.retryAtMs !== undefined) {
      pauses.remember(reference.host, error.retryAtMs);
    }
    throw toRegistryError(await explainRefusal(context, lookup, error), side);
  }
}

/** A registry that refuses somebody anonymous whose login cannot be used: that says more than the refusal. */
async function explainRefusal(
  { find }: RegistryContext,
  { reference, side, signal }: ManifestLookup,
  error: unknown,
): Promise<unknown> {
  const isRefusal = error instanceof RegistryError && error.reason === 'Unauthorized' && error.side === side;
  if (!isRefusal || signal.aborted) {
    return error;
  }
  const problem = await findLoginProblem(find, { reference, side, signal });
  return problem !== undefined
    ? new RegistryError(`${error.message}; ${problem}`, { reason: error.reason, side })
    : error;
}

async function findLoginProblem(
  find: FindCredential,
  { reference, side, signal }: ManifestLookup,
): Promise<string | undefined> {
  try {
    return (await find(reference, side, signal)).problem;
  } catch (error) {
    if (error instanceof UsageError || error instanceof RegistryError) {
      return error.message;
    }
    throw error;
  }
}

/**
 * While the controller runs, a broken `config.json` or a missing helper is one more reason why a registry cannot be
 * used, and may be corrected at any time. A host that no URL can hold will never do.
 */
function toRegistryError(error: unknown, side: RegistrySide): unknown {
  if (error instanceof UsageError) {
    return new RegistryError(error.message, { reason: 'Unknown', side, cause: error });
  }
  if (error instanceof InvalidImageError) {
    return new RegistryError(error.message, { reason: 'Unsupported', side, cause: error });
  }
  return error;
}
