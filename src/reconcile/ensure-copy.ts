import type { Logger } from 'pino';

import { type CopyNames, planCopyNames } from '../images/copy-name.ts';
import { formatReference, withDigest } from '../images/reference.ts';
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
  const { REGISTRY_PREFIX: prefix, NAMING: naming, PIN_DIGEST: pinDigest } = deps.settings();
  return {
    request,
    digest,
    names: planCopyNames({ source: request.source, digest, prefix, naming, pinDigest }),
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

/** Without a digest in it, the image that pods are pointed at is the plain tag: then that one has to be right. */
async function ensureWrittenTag(deps: EnsureCopyDeps, plan: CopyPlan, signal: AbortSignal): Promise<void> {
  const { moving, immutable } = plan.names;
  if (deps.settings().PIN_DIGEST || !moving?.tag) {
    return;
  }
  if ((await deps.registry.fetchDigest(moving, 'backup', signal)) !== plan.digest) {
    await deps.registry.tag(withDigest(immutable, plan.digest), moving.tag, signal);
  }
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

/**
 * Sees to it that the backup has a digest of a source. Undefined: it must not be copied yet, because nothing proves who
 * may read the image.
 *
 * @throws {RegistryError}
 */
export async function ensureCopy(
  deps: EnsureCopyDeps,
  { request, digest }: { readonly request: CopyRequest; readonly digest: string },
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
  await ensureWrittenTag(deps, plan, signal);
  return { digest, written, isNew: !isFound };
}
