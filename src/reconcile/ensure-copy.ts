import type { Logger } from 'pino';

import { type CopyNames, planCopyNames } from '../images/copy-name.ts';
import { RegistryError } from '../errors.ts';
import { formatReference, parseReference, withDigest } from '../images/reference.ts';
import type { Settings } from '../settings.ts';
import type { Copy, CopyRequest } from './copy-state.ts';
import type { ImageRegistry } from './ports.ts';

export interface EnsureCopyDeps {
  readonly registry: ImageRegistry;
  readonly settings: () => Settings;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Told of every outcome; the time is that of the copy itself, 0 when none was made. */
  readonly onCopied: (result: 'copied' | 'found' | 'failed', durationMs: number) => void;
}

/** One copy, with everything that is known of it before it is made. */
interface CopyPlan {
  readonly request: CopyRequest;
  readonly digest: string;
  readonly names: CopyNames;
}

function planCopy(deps: EnsureCopyDeps, request: CopyRequest, digest: string): CopyPlan {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  return {
    request,
    digest,
    names: planCopyNames({ source: request.source, digest, prefix, naming }),
  };
}

/** Best effort: the tag that people know; the copy that workloads run from does not depend on it. */
async function tagForPeople(
  { registry, log }: EnsureCopyDeps,
  plan: CopyPlan,
  signal: AbortSignal,
): Promise<void> {
  const { moving, immutable } = plan.names;
  if (!moving?.tag) {
    return;
  }
  try {
    await registry.tag(withDigest(immutable, plan.digest), moving.tag, signal);
  } catch (err) {
    log.warn({ err, copy: formatReference(moving) }, 'plain tag not written');
  }
}

async function makeCopy(deps: EnsureCopyDeps, plan: CopyPlan, signal: AbortSignal): Promise<void> {
  const source = withDigest(plan.request.source, plan.digest);
  const copy = plan.names.immutable;
  const startedAtMs = deps.nowMs();
  deps.log.info({ source: formatReference(source), copy: formatReference(copy) }, 'copy started');
  await deps.registry.copy({ source, copy }, signal);
  await tagForPeople(deps, plan, signal);
  const durationMs = deps.nowMs() - startedAtMs;
  deps.log.info(
    { source: formatReference(source), copy: formatReference(copy), durationMs },
    'copy verified',
  );
  deps.onCopied('copied', durationMs);
}

/** True for an image that not everybody may read, unless a pod has shown that the workload's owner may. */
async function lacksProof(
  { registry }: EnsureCopyDeps,
  { request, digest }: CopyPlan,
  signal: AbortSignal,
): Promise<boolean> {
  return !request.isProven && (await registry.isPrivate(withDigest(request.source, digest), signal));
}

export interface EnsuredCopy extends Copy {
  /** False when the backup had it already. */
  readonly isNew: boolean;
}

export interface EnsureCopyJob {
  readonly request: CopyRequest;
  readonly digest: string;
  /** The copy was missed before although its tag is there: the image that pods are pointed at is looked up as well. */
  readonly isDoubtful?: boolean;
}

/** @throws {RegistryError} when the registry knows the tag of a copy, but not the image that pods are pointed at. */
async function checkWritten(deps: EnsureCopyDeps, plan: CopyPlan, signal: AbortSignal): Promise<void> {
  const { written } = plan.names;
  if ((await deps.registry.fetchDigest(parseReference(written), 'backup', signal)) !== plan.digest) {
    const message = `the backup has the tag of the copy, but not ${written}`;
    throw new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
}

/**
 * Sees to it that the backup has a digest of a source. Undefined: it must not be copied yet, because nothing proves who
 * may read the image.
 *
 * @throws {RegistryError}
 */
export async function ensureCopy(
  deps: EnsureCopyDeps,
  { request, digest, isDoubtful = false }: EnsureCopyJob,
  signal: AbortSignal,
): Promise<EnsuredCopy | undefined> {
  const plan = planCopy(deps, request, digest);
  const { immutable, written } = plan.names;
  const isFound = (await deps.registry.fetchDigest(immutable, 'backup', signal)) === digest;
  if (isFound) {
    deps.log.debug({ source: formatReference(request.source), copy: written }, 'copy found');
    deps.onCopied('found', 0);
  } else if (await lacksProof(deps, plan, signal)) {
    return undefined;
  } else {
    await makeCopy(deps, plan, signal);
  }
  if (isDoubtful) {
    await checkWritten(deps, plan, signal);
  }
  return { digest, written, isNew: !isFound };
}
