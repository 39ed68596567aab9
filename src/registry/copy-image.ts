import { RegistryError } from '../errors.ts';
import { formatReference, type Reference } from '../images/reference.ts';
import type { CopyInFlight, CopyJob } from '../reconcile/ports.ts';
import { type CopyMeter, createCopyMeter } from './engine/copy-meter.ts';
import type { TracedRequest } from './engine/trace-line.ts';
import { parseAllowance } from './limits/host-allowances.ts';
import { access, type RegistryContext, withHostBackoff } from './registry-context.ts';
import { toApiHost, toApiOrigin } from './registry-address.ts';

/** Makes one copy when it is its turn. */
export async function copyImage(context: RegistryContext, job: CopyJob, signal: AbortSignal): Promise<void> {
  const source = { reference: job.source, side: 'source', signal } as const;
  const backup = { reference: job.copy, side: 'backup', signal } as const;
  const repository = `${toApiHost(job.copy.host)}/${job.copy.repository}`.toLowerCase();
  const turn = { share: job.share, host: toApiHost(job.source.host), repository };
  const inTurn = (): Promise<void> =>
    context.turns.run(turn, (namespace) => copyNow(context, { job, namespace }, signal), signal);
  await withHostBackoff(context, source, () => withHostBackoff(context, backup, inTurn));
}

async function copyNow(
  context: RegistryContext,
  { job, namespace }: { readonly job: CopyJob; readonly namespace: string },
  signal: AbortSignal,
): Promise<void> {
  const doing = describeCopy(job);
  job.onTurn?.();
  context.pauses.check(job.source.host, 'source', doing);
  context.pauses.check(job.copy.host, 'backup', doing);
  const host = toApiOrigin(job.source.host, context.settings().insecureRegistries).host;
  const source = await access(context, { reference: job.source, side: 'source', signal });
  const backup = await access(context, { reference: job.copy, side: 'backup', signal });
  // The engine follows a challenge wherever it points. We do not, so it only gets a credential when we would use it.
  const head = await context.manifests.fetchHead(source);
  context.allowances.check(host, doing);
  if (head) {
    await context.checkSize({ image: source, head, platforms: job.platforms ?? 'all' });
  }
  const findCopy = (): Promise<string | undefined> =>
    context.manifests.fetchDigest({ ...backup, reference: toTagged(job.copy) });
  const copying = runMetered(context, job, (meter) =>
    context.engine.copy({
      job,
      namespace,
      credentials: { source: source.credential, copy: backup.credential },
      insecureRegistries: backup.insecureRegistries,
      withReferrers: context.settings().copyReferrers,
      timeoutMs: context.settings().copyTimeoutMs,
      signal,
      meter,
      onAnswer: (request) => noteAllowance(context, host, request),
    }),
  );
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

/** Lets be seen how far the engine is while it runs. */
async function runMetered<Result>(
  { flights, clock, onSent, progressIntervalMs }: RegistryContext,
  job: CopyJob,
  run: (meter: CopyMeter) => Promise<Result>,
): Promise<Result> {
  const meter = createCopyMeter(onSent);
  const startedAtMs = clock.nowMs();
  const { source, copy } = job;
  const flight = (): CopyInFlight => ({ source, copy, startedAtMs, ...meter.read() });
  const timer = setInterval(() => job.onProgress?.(meter.read()), progressIntervalMs);
  flights.add(flight);
  try {
    return await run(meter);
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

function describeCopy({ source, copy: target }: CopyJob): string {
  return `copying ${formatReference(source)} to ${formatReference(target)}`;
}

function toTagged({ host, repository, tag: name = 'latest' }: Reference): Reference {
  return { host, repository, tag: name };
}
