import { tmpdir } from 'node:os';

import type { Clock } from '../clock.ts';
import { RegistryError } from '../errors.ts';
import { toGoEnvironment } from '../network/go-environment.ts';
import type { CopyInFlight, ImageRegistry } from '../reconcile/ports.ts';
import { copyImage } from './copy-image.ts';
import { createAbsenceFinder } from './content/absent-parts.ts';
import { createCauseFinder } from './content/refusal-cause.ts';
import { createContentMemory } from './content/content-memory.ts';
import { type ContentReaderDeps, createContentReader } from './content/content-reader.ts';
import { createCredentialFinder } from './credentials/credential-finder.ts';
import { type CopyEngine, createCopyEngine, planEngineMemory } from './engine/regctl.ts';
import { createHostAllowances, type HostAllowances } from './limits/host-allowances.ts';
import { createHostSilences } from './limits/host-silences.ts';
import { createHostPauses } from './limits/host-pauses.ts';
import { createLayerLister } from './content/image-layers.ts';
import { createSizeCheck } from './content/image-size.ts';
import { createPartFinder } from './content/image-parts.ts';
import { LayerSharing } from './layers/layer-sharing.ts';
import type { RegistryDeps } from './manifests/access.ts';
import { type Authorizer, createAuthorizer } from './manifests/authorizer.ts';
import { resolveHost, type ResolveHost } from './manifests/forwarding.ts';
import { createHttpClient } from './manifests/http-client.ts';
import { createLayerClient } from './manifests/layer-client.ts';
import type { PinnedAccess } from './manifests/image-access.ts';
import { createManifestClient, createNotFoundError, type ManifestClient } from './manifests/manifests.ts';
import {
  access,
  type ManifestLookup,
  type RegistryContext,
  withHostBackoff,
  type RegistrySettings,
} from './registry-context.ts';
import { CopyTurns } from './limits/copy-turns.ts';

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
  /** Told once of what a person could mend: in `config.json`, or at a registry that answers wrongly. */
  readonly onProblem?: (problem: string) => void;
  /** Told how many bytes of a layer were sent to the backup. */
  readonly onSent?: (bytes: number) => void;
  /** Told how many bytes a layer has that the backup took from another of its repositories. */
  readonly onMounted?: (bytes: number) => void;
  /** Between two reports of how far a copy is. */
  readonly progressIntervalMs?: number;
}

export interface RegistriesState {
  /** The copies that are being made now: those whose engine runs. */
  readonly copies: readonly CopyInFlight[];
  /** Downloads that sources still allow, of those that tell. */
  readonly allowances: readonly { readonly host: string; readonly remaining: number }[];
}

export interface BackupImageRegistry extends ImageRegistry {
  readState(): RegistriesState;
  /** Closes idle connections. */
  close(): void;
}

const REQUEST_TIMEOUT_MS = 30_000;
const PROGRESS_INTERVAL_MS = 10_000;

/** Registries as the reconcilers see them: look-ups are made in process, copies by the copy engine. */
export function createImageRegistry(options: ImageRegistryOptions): BackupImageRegistry {
  const environment = toGoEnvironment(dropUnset(options.environment));
  const { clock, settings, configFolder, onProblem = () => {} } = options;
  const http = createHttpClient({ environment, timeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS });
  const allowances = createHostAllowances(clock);
  const silences = createHostSilences(clock);
  const requests = { http, clock, resolveHost: options.resolveHost ?? resolveHost, silences };
  const authorizer = createAuthorizer(requests);
  const manifests = createManifests({ requests, authorizer, allowances, onProblem });
  const layers = createLayerClient(requests, authorizer);
  const content = createContent({ manifests, allowances, clock });
  const context: RegistryContext = {
    settings,
    engine: createEngine(options, environment),
    manifests,
    ...content,
    layers,
    sharing: new LayerSharing({ client: layers, clock }),
    find: createCredentialFinder({
      folder: configFolder,
      environment,
      clock,
      onProblem,
    }),
    pauses: createHostPauses(clock),
    allowances,
    clock,
    flights: new Set(),
    onSent: options.onSent ?? (() => {}),
    onMounted: options.onMounted ?? (() => {}),
    progressIntervalMs: options.progressIntervalMs ?? PROGRESS_INTERVAL_MS,
    turns: new CopyTurns(() => settings().copyConcurrency),
    looks: new CopyTurns(() => settings().copyConcurrency),
  };
  return {
    fetchDigest: (reference, side, signal) => fetchDigest(context, { reference, side, signal }),
    copy: (job, signal) => copyImage(context, job, signal),
    findMissingPart: (reference, platforms, signal) =>
      askPinned(context, { reference, side: 'backup', signal }, (image) =>
        content.finder.findMissingPart(image, platforms),
      ),
    findAbsentParts: (reference, { side, platforms }, signal) =>
      askPinned(context, { reference, side, signal }, (image) => content.findAbsentParts(image, platforms)),
    listParts: (reference, side, signal) =>
      askPinned(context, { reference, side, signal }, (image) => content.finder.listParts(image)),
    tag: (reference, movingTag, signal) => tag(context, { reference, side: 'backup', signal }, movingTag),
    isPrivate: (reference, side, signal) => isPrivate(context, { reference, side, signal }),
    readState: () => ({
      copies: [...context.flights].map((flight) => flight()),
      allowances: allowances.list(),
    }),
    close: () => http.close(),
  };
}

function createEngine(
  { program, temporaryFolder = tmpdir(), settings, clock, killAfterMs }: ImageRegistryOptions,
  environment: Readonly<Record<string, string>>,
): CopyEngine {
  return createCopyEngine({
    program,
    environment,
    temporaryFolder,
    clock,
    memoryLimits: () => planEngineMemory(settings().copyConcurrency),
    ...(killAfterMs !== undefined && { killAfterMs }),
  });
}

interface ManifestDeps {
  readonly requests: RegistryDeps;
  readonly authorizer: Authorizer;
  readonly allowances: HostAllowances;
  readonly onProblem: (problem: string) => void;
}

/** Manifests of all registries, with what they tell of the downloads that are left. */
function createManifests({ requests, authorizer, allowances, onProblem }: ManifestDeps): ManifestClient {
  return createManifestClient(requests, {
    authorizer,
    onAllowance: (host, allowance) => allowances.note(host, allowance),
    onUncounted: (host) => allowances.noteUncounted(host),
    onDownload: (host, doing) => allowances.check(host, doing),
    onHeadWrong: (host, status) =>
      onProblem(
        `registry ${host} answers ${status} to HEAD of a manifest, and something else to GET: it is asked with GET for a day`,
      ),
  });
}

/** What images consist of, all of it by one memory. */
function createContent(deps: Omit<ContentReaderDeps, 'memory'> & { readonly clock: Clock }) {
  const memory = createContentMemory();
  const { clock, manifests } = deps;
  const read = createContentReader({ ...deps, memory });
  return {
    read,
    isRead: (digest: string) => memory.recall(digest) !== undefined,
    checkSize: createSizeCheck({ read, clock }),
    findAbsentParts: createAbsenceFinder({ read, manifests, clock }),
    findRefusalCause: createCauseFinder(read),
    listLayers: createLayerLister({ read, clock }),
    finder: createPartFinder({ read, manifests, clock }),
  };
}

async function fetchDigest(context: RegistryContext, lookup: ManifestLookup): Promise<string | undefined> {
  return withHostBackoff(context, lookup, async () =>
    context.manifests.fetchDigest(await access(context, lookup)),
  );
}

async function askPinned<Result>(
  context: RegistryContext,
  lookup: ManifestLookup & Pick<PinnedAccess, 'reference'>,
  ask: (image: PinnedAccess) => Promise<Result>,
): Promise<Result> {
  return withHostBackoff(context, lookup, async () => ask({ ...(await access(context, lookup)), ...lookup }));
}

/**
 * Only asks without credentials when there are some, or are meant to be: a helper may give them out by the time of the copy. Else
 * everything that can be read is public.
 */
async function isPrivate(context: RegistryContext, lookup: ManifestLookup): Promise<boolean> {
  return withHostBackoff(context, lookup, async () => {
    const known = await access(context, lookup);
    if (known.credential === undefined && !known.isLoginBroken) {
      return false;
    }
    try {
      return (
        (await context.manifests.fetchDigest({ ...known, credential: undefined, isProbe: true })) ===
        undefined
      );
    } catch (error) {
      // Who is limited without credentials is why there are some: that is no reason to leave the registry alone.
      const { reason } = error instanceof RegistryError ? error : {};
      if (reason === 'Unauthorized' || (reason === 'RateLimited' && known.credential)) {
        return true;
      }
      throw error;
    }
  });
}

async function tag(context: RegistryContext, lookup: ManifestLookup, movingTag: string): Promise<void> {
  const { host, repository, digest } = lookup.reference;
  if (digest === undefined) {
    throw new TypeError('only a copy with a digest can be given another tag');
  }
  const tagged = { ...lookup, reference: { host, repository, tag: movingTag } };
  await withHostBackoff(context, lookup, async () => {
    const copyAccess = await access(context, lookup);
    const tagAccess = { ...copyAccess, reference: tagged.reference };
    const pinned = { ...copyAccess, reference: { ...lookup.reference, digest } };
    const manifest = await context.manifests.fetchManifest(pinned);
    if (!manifest) {
      throw createNotFoundError(pinned);
    }
    await context.manifests.pushManifest(tagAccess, manifest);
  });
}

function dropUnset(environment: ImageRegistryOptions['environment']): Readonly<Record<string, string>> {
  const set = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(set);
}
