import { RegistryError, type RegistryFailure } from '../errors.ts';
import type { Reference } from '../images/reference.ts';
import type { CopyAmounts, CopyInFlight, CopyJob, CopyResult } from '../reconcile/ports.ts';
import { describeCopy, explainFailure } from './explain-failure.ts';
import { inspectSource } from './inspect-source.ts';
import { type CopyMeter, createCopyMeter } from './engine/copy-meter.ts';
import type { TracedRequest } from './engine/trace-line.ts';
import type { SharedLayers } from './layers/layer-sharing.ts';
import { parseAllowance } from './limits/host-allowances.ts';
import type { Layer } from './manifests/listed-layers.ts';
import type { ImageAccess } from './manifests/image-access.ts';
import { createNotFoundError } from './manifests/manifests.ts';
import { access, type RegistryContext, withHostBackoff } from './registry-context.ts';
import { toApiHost, toApiOrigin } from './registry-address.ts';

/** Makes one copy when it is its turn. What the image consists of is looked at before that, so that no engine waits for it. */
export async function copyImage(
  context: RegistryContext,
  job: CopyJob,
  signal: AbortSignal,
): Promise<CopyResult> {
  const source = { reference: job.source, side: 'source', signal } as const;
  const backup = { reference: job.copy, side: 'backup', signal } as const;
  const repository = `${toApiHost(job.copy.host)}/${job.copy.repository}`.toLowerCase();
  const turn = { share: job.share, host: toApiHost(job.source.host), repository };
  const inTurn = async (): Promise<CopyResult> => {
    const layers = await context.looks.run(turn, () => look(context, job, signal), signal);
    const lookedAtMs = context.clock.monotonicMs();
    return context.turns.run(
      turn,
      (namespace) => copyNow(context, { job, namespace, layers, lookedAtMs }, signal),
      signal,
    );
  };
  return withHostBackoff(context, source, () => withHostBackoff(context, backup, inTurn));
}

/**
 * Where the backup does not say what it has, its word on writing comes before anything is fetched: a download may be counted.
 * Whoever names images that do not exist must not have repositories made for them.
 */
async function look(context: RegistryContext, job: CopyJob, signal: AbortSignal): Promise<readonly Layer[]> {
  if (job.isUnseen) {
    const source = await access(context, { reference: job.source, side: 'source', signal });
    if (!(await context.manifests.fetchHead(source))) {
      throw createNotFoundError(source);
    }
    await context.layers.tryUpload(await access(context, { reference: job.copy, side: 'backup', signal }));
  }
  return inspectSource(context, job, signal);
}

interface Copying {
  readonly job: CopyJob;
  readonly source: ImageAccess;
  readonly backup: ImageAccess;
  /** Whose turn it is. */
  readonly namespace: string;
  readonly shared: SharedLayers;
  /** Host and port of the source. */
  readonly host: string;
}

interface InspectedJob {
  readonly job: CopyJob;
  /** Whose turn it is. */
  readonly namespace: string;
  /** The large ones that may be mounted; none when nothing may. */
  readonly layers: readonly Layer[];
  /** Monotonic. */
  readonly lookedAtMs: number;
}

/** What a look has told of the downloads that are left is news for that long. */
const LOOK_MS = 10_000;

async function copyNow(
  context: RegistryContext,
  { job, namespace, layers: large, lookedAtMs }: InspectedJob,
  signal: AbortSignal,
): Promise<CopyResult> {
  const doing = describeCopy(job);
  job.onTurn?.();
  context.pauses.check(job.source.host, 'source', doing);
  context.pauses.check(job.copy.host, 'backup', doing);
  const { host } = toApiOrigin(job.source.host, context.settings().insecureRegistries);
  const source = await access(context, { reference: job.source, side: 'source', signal });
  // The nodes have gone on pulling meanwhile. A look-up costs no download.
  if (context.allowances.hasTold(host) && context.clock.monotonicMs() - lookedAtMs >= LOOK_MS) {
    await context.manifests.fetchHead(source);
  }
  context.allowances.check(host, doing);
  const backup = await access(context, { reference: job.copy, side: 'backup', signal });
  const isUrgent = job.share?.isUrgent ?? false;
  const shared = context.sharing.open({ source, backup, namespace, isUrgent });
  try {
    const copying: Copying = { job, source, backup, namespace, shared, host };
    const mounted = await mount(context, shared, large);
    const { layers, amounts, referrersProblem } = await copyWithReferrers(context, copying);
    shared.learn(layers);
    const ofMounts = { layersMounted: mounted.length, bytesMounted: sumBytes(mounted) };
    return { ...amounts, ...ofMounts, ...(referrersProblem !== undefined && { referrersProblem }) };
  } finally {
    shared.close();
  }
}

/** Has the backup take what it has elsewhere. */
async function mount({ onMounted }: RegistryContext, shared: SharedLayers, layers: readonly Layer[]) {
  const mounted = layers.length > 0 ? await shared.mount(layers) : [];
  for (const { sizeBytes } of mounted) {
    onMounted(sizeBytes);
  }
  return mounted;
}

interface EngineWork {
  /** All that are in the backup now. */
  readonly layers: readonly Layer[];
  readonly amounts: Pick<CopyAmounts, 'layersSent' | 'bytesSent'>;
  readonly referrersProblem?: string;
}

/** The image first of all: that its signatures cannot be had does not keep it from being backed up. */
async function copyWithReferrers(context: RegistryContext, copying: Copying): Promise<EngineWork> {
  if (!context.settings().copyReferrers) {
    return runEngine(context, copying, { withReferrers: false });
  }
  try {
    return await runEngine(context, copying, { withReferrers: true });
  } catch (error) {
    if (!(error instanceof RegistryError) || !mayBeOfReferrers(error)) {
      throw error;
    }
    const work = await runEngine(context, copying, { withReferrers: false });
    return { ...work, referrersProblem: error.message };
  }
}

/** A registry that asks to be left alone, or is down, is not asked once more. */
function mayBeOfReferrers({ reason, side }: RegistryError): boolean {
  return !PASSING_FAILURES.has(reason) || (reason === 'RegistryUnavailable' && side === 'source');
}

const PASSING_FAILURES: ReadonlySet<RegistryFailure> = new Set([
  'RateLimited',
  'Timeout',
  'RegistryUnavailable',
]);

async function runEngine(
  context: RegistryContext,
  copying: Copying,
  { withReferrers }: { readonly withReferrers: boolean },
): Promise<EngineWork> {
  const { job, source, backup, shared, host } = copying;
  const sent: Layer[] = [];
  const meter = createCopyMeter({
    onSent(layer) {
      sent.push(layer);
      context.onSent(layer.sizeBytes);
    },
    onChange: (digest, state) => shared.note(digest, state),
  });
  const pushing = runMetered(context, { job, meter }, () =>
    context.engine.copy({
      job,
      namespace: copying.namespace,
      credentials: { source: source.credential, copy: backup.credential },
      manners: {
        insecureRegistries: backup.insecureRegistries,
        refusesHead: (name) => refusesHead(context, name, job),
      },
      withReferrers,
      timeoutMs: context.settings().copyTimeoutMs,
      signal: backup.signal,
      meter,
      onAnswer: (request) => noteAllowance(context, host, request),
    }),
  );
  await checkPushed(context, copying, pushing);
  return { layers: meter.listDone(), amounts: { layersSent: sent.length, bytesSent: sumBytes(sent) } };
}

/** @throws {RegistryError} unless the backup has the digest of the source under the tag of the copy. */
async function checkPushed(
  context: RegistryContext,
  { job, source, backup }: Copying,
  pushing: Promise<string | undefined>,
): Promise<void> {
  const findCopy = (): Promise<string | undefined> =>
    context.manifests.fetchDigest({ ...backup, reference: toTagged(job.copy) });
  const pushed = await pushing.catch(async (error: unknown) => {
    // Another replica was faster, or the answer to the first try got lost: the tag that is taken may hold the copy.
    if (isTagTaken(error) && (await findCopy()) === job.source.digest) {
      return job.source.digest;
    }
    throw await explainFailure(context, { job, source }, error);
  });
  const digest = pushed ?? (await findCopy());
  if (digest !== job.source.digest) {
    const message = `${describeCopy(job)}: the backup has ${digest ?? 'nothing'} under the tag of the copy`;
    throw new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
}

/** What is answered with 404 costs the engine no time, and layers may be answered rightly. */
function refusesHead({ manifests }: RegistryContext, host: string, { source, copy }: CopyJob): boolean {
  return [source, copy].some(
    ({ repository }) => (manifests.findWrongHeadStatus({ host, repository }) ?? 404) !== 404,
  );
}

/** Lets be seen how far the engine is while it runs. */
async function runMetered<Result>(
  { flights, clock, progressIntervalMs }: RegistryContext,
  { job, meter }: { readonly job: CopyJob; readonly meter: CopyMeter },
  run: () => Promise<Result>,
): Promise<Result> {
  const startedAtMs = clock.nowMs();
  const { source, copy } = job;
  const flight = (): CopyInFlight => ({ source, copy, startedAtMs, ...meter.read() });
  const timer = setInterval(() => job.onProgress?.(meter.read()), progressIntervalMs);
  flights.add(flight);
  try {
    return await run();
  } finally {
    clearInterval(timer);
    flights.delete(flight);
  }
}

/** The engine's own requests count, and tell what is left: nobody else has to ask. */
function noteAllowance({ allowances }: RegistryContext, host: string, { url, headers }: TracedRequest): void {
  // Go spells headers like this.
  const toGo = (name: string): string => name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
  const allowance = url.host === host ? parseAllowance((name) => headers[toGo(name)]?.[0]) : undefined;
  if (allowance) {
    allowances.note(host, allowance);
  }
}

function isTagTaken(error: unknown): boolean {
  return error instanceof RegistryError && error.reason === 'ImmutableTag';
}

function toTagged({ host, repository, tag: name = 'latest' }: Reference): Reference {
  return { host, repository, tag: name };
}

function sumBytes(layers: readonly Layer[]): number {
  return layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
