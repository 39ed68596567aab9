import { tmpdir } from 'node:os';

import type { Clock } from '../clock.ts';
import { InvalidImageError, RegistryError, type RegistrySide, UsageError } from '../errors.ts';
import { formatReference, type Reference } from '../images/reference.ts';
import type { CopyJob, ImageRegistry } from '../reconcile/ports.ts';
import { createCredentialFinder, type FindCredential } from './credentials/credential-finder.ts';
import { resolveHost, type ResolveHost } from './manifests/forwarding.ts';
import { createHostPauses, type HostPauses } from './host-pauses.ts';
import { createHttpClient } from './manifests/http-client.ts';
import { createManifestClient, type ImageAccess, type ManifestClient } from './manifests/manifests.ts';
import { createCopyEngine, type CopyEngine } from './engine/regctl.ts';
import { toApiHost } from './registry-address.ts';
import { findMissingPart } from './missing-part.ts';
import { createTurnQueues, type TurnQueues } from './turn-queues.ts';

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

export interface ImageRegistryOptions {
  readonly settings: () => RegistrySettings;
  /** Folder of the Docker `config.json` (DOCKER_CONFIG); undefined: no credentials. */
  readonly configFolder: string | undefined;
  /** Path of `regctl`, or its name if it is in PATH. */
  readonly program: string;
  /** Ours: proxies, CA bundle, and what credential helpers look for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Has to be writable; the root file system need not be. */
  readonly temporaryFolder?: string;
  readonly requestTimeoutMs?: number;
  readonly killAfterMs?: number;
  readonly resolveHost?: ResolveHost;
}

export interface BackupImageRegistry extends ImageRegistry {
  /** Closes idle connections. */
  close(): void;
}

const REQUEST_TIMEOUT_MS = 30_000;

/** Registries as the reconcilers see them: look-ups are made in process, copies by the copy engine. */
export function createImageRegistry(options: ImageRegistryOptions): BackupImageRegistry {
  const environment = dropUnset(options.environment);
  const { clock, settings, configFolder, program, killAfterMs } = options;
  const http = createHttpClient({ environment, timeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS });
  const manifests = createManifestClient({ http, clock, resolveHost: options.resolveHost ?? resolveHost });
  const engine = createCopyEngine({
    program,
    environment,
    temporaryFolder: options.temporaryFolder ?? tmpdir(),
    clock,
    ...(killAfterMs !== undefined && { killAfterMs }),
  });
  const sources: TurnQueues = createTurnQueues(() =>
    Math.max(1, settings().copyConcurrency - (sources.size > 1 ? 1 : 0)),
  );
  const parts: Parts = {
    settings,
    engine,
    manifests,
    find: createCredentialFinder({ folder: configFolder, environment, clock }),
    pauses: createHostPauses(clock),
    turns: createTurnQueues(),
    sources,
    engines: createTurnQueues(() => settings().copyConcurrency),
  };
  return {
    fetchDigest: (reference, side, signal) => fetchDigest(parts, { reference, side, signal }),
    copy: (job, signal) => copy(parts, job, signal),
    findMissingPart: (reference, platforms, signal) => {
      const look = { reference, side: 'backup', signal } as const;
      const find = async (): Promise<string | undefined> =>
        findMissingPart(manifests, { ...(await access(parts, look)), reference }, platforms);
      return politely(parts, look, find);
    },
    tag: (reference, movingTag, signal) => tag(parts, { reference, side: 'backup', signal }, movingTag),
    isPrivate: (reference, signal) => isPrivate(parts, { reference, side: 'source', signal }),
    close: () => http.close(),
  };
}

interface Parts {
  readonly settings: () => RegistrySettings;
  readonly engine: CopyEngine;
  readonly manifests: ManifestClient;
  readonly find: FindCredential;
  readonly pauses: HostPauses;
  /** By repository in the backup. */
  readonly turns: TurnQueues;
  /** By source host: of several, a slow one must leave room for the others. */
  readonly sources: TurnQueues;
  /** All engines under one key. */
  readonly engines: TurnQueues;
}

type Look = Pick<ImageAccess, 'reference' | 'side' | 'signal'>;

async function fetchDigest(parts: Parts, look: Look): Promise<string | undefined> {
  return politely(parts, look, async () => parts.manifests.fetchDigest(await access(parts, look)));
}

/** Only asks without credentials when there are some: otherwise everything that can be read is public. */
async function isPrivate(parts: Parts, look: Look): Promise<boolean> {
  return politely(parts, look, async () => {
    const known = await access(parts, look);
    if (known.credential === undefined) {
      return false;
    }
    try {
      return (await parts.manifests.fetchDigest({ ...known, credential: undefined })) === undefined;
    } catch (error) {
      // Who is limited without credentials is why there are some: that is no reason to leave the registry alone.
      if (error instanceof RegistryError && ['Unauthorized', 'RateLimited'].includes(error.reason)) {
        return true;
      }
      throw error;
    }
  });
}

async function tag(parts: Parts, look: Look, movingTag: string): Promise<void> {
  const { host, repository, digest } = look.reference;
  if (digest === undefined) {
    throw new TypeError('only a copy with a digest can be given another tag');
  }
  const tagged = { ...look, reference: { host, repository, tag: movingTag } };
  await politely(parts, look, async () => {
    const copyAccess = await access(parts, look);
    const tagAccess = { ...copyAccess, reference: tagged.reference };
    const pinned = { ...copyAccess, reference: { ...look.reference, digest } };
    await parts.manifests.pushManifest(tagAccess, await parts.manifests.fetchManifest(pinned));
  });
}

async function copy(parts: Parts, job: CopyJob, signal: AbortSignal): Promise<void> {
  const source = { reference: job.source, side: 'source', signal } as const;
  const backup = { reference: job.copy, side: 'backup', signal } as const;
  const repository = `${toApiHost(job.copy.host)}/${job.copy.repository}`.toLowerCase();
  const run = (): Promise<void> => parts.engines.run('engine', () => copyNow(parts, job, signal), signal);
  const fromSource = (): Promise<void> => parts.sources.run(toApiHost(job.source.host), run, signal);
  // Two pushes of one layer into one repository get in each other's way in many registries.
  const inTurn = (): Promise<void> => parts.turns.run(repository, fromSource, signal);
  await politely(parts, source, () => politely(parts, backup, inTurn));
}

async function copyNow(parts: Parts, job: CopyJob, signal: AbortSignal): Promise<void> {
  const doing = describeCopy(job);
  parts.pauses.check(job.source.host, 'source', doing);
  parts.pauses.check(job.copy.host, 'backup', doing);
  const source = await access(parts, { reference: job.source, side: 'source', signal });
  const backup = await access(parts, { reference: job.copy, side: 'backup', signal });
  if (source.credential) {
    // The engine follows a challenge wherever it points. We do not, so it only gets a credential when we would use it.
    await parts.manifests.fetchDigest(source);
  }
  const findCopy = (): Promise<string | undefined> =>
    parts.manifests.fetchDigest({ ...backup, reference: toTagged(job.copy) });
  const copying = parts.engine.copy({
    job,
    credentials: { source: source.credential, copy: backup.credential },
    insecureRegistries: backup.insecureRegistries,
    withReferrers: parts.settings().copyReferrers,
    timeoutMs: parts.settings().copyTimeoutMs,
    signal,
  });
  const pushed = await copying.catch(async (error: unknown) => {
    // Another replica was faster, or the answer to the first try got lost: the tag that is taken may hold the copy.
    if (isTagTaken(error) && (await findCopy()) === job.source.digest) {
      return job.source.digest;
    }
    throw error;
  });
  const digest = pushed ?? (await findCopy());
  if (digest !== job.source.digest) {
    const message = `${doing}: the backup has ${digest ?? 'nothing'} under the tag of the copy`;
    throw new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
}

function isTagTaken(error: unknown): boolean {
  return error instanceof RegistryError && error.reason === 'ImmutableTag';
}

async function access(parts: Parts, look: Look): Promise<ImageAccess> {
  const credential = await parts.find(look.reference, look.side, look.signal);
  return { ...look, credential, insecureRegistries: parts.settings().insecureRegistries };
}

/** Leaves a registry alone that asked for it, and takes note when it asks. */
async function politely<Result>(
  { pauses }: Parts,
  { reference, side }: Look,
  ask: () => Promise<Result>,
): Promise<Result> {
  pauses.check(reference.host, side, `looking up ${formatReference(reference)}`);
  try {
    return await ask();
  } catch (error) {
    if (error instanceof RegistryError && error.side === side && error.retryAtMs !== undefined) {
      pauses.remember(reference.host, error.retryAtMs);
    }
    throw toRegistryError(error, side);
  }
}

/**
 * While the controller runs, a broken `config.json` or a missing helper is one more reason why a registry cannot be
 * used, and may be mended at any time. A host that no URL can hold will never do.
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

function describeCopy({ source, copy: target }: CopyJob): string {
  return `copying ${formatReference(source)} to ${formatReference(target)}`;
}

function toTagged({ host, repository, tag: name = 'latest' }: Reference): Reference {
  return { host, repository, tag: name };
}

function dropUnset(environment: ImageRegistryOptions['environment']): Readonly<Record<string, string>> {
  const set = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(set);
}
