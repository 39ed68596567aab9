import type { Logger } from 'pino';

import { RegistryError } from '../errors.ts';
import { type CopyNames, planCopyNames } from '../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../images/reference.ts';
import type { Settings } from '../settings.ts';
import type { CopyRequest, CopyState } from './copy-state.ts';
import type { CopyStore } from './copy-store.ts';
import type { ImageRegistry } from './ports.ts';

/** A failure that waits for somebody to change something is looked at again at this pace all the same. */
const SECOND_LOOK_MS = 3_600_000;

export interface CopyReconcilerDeps {
  readonly copies: CopyStore;
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

async function findDigest(
  deps: CopyReconcilerDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<string> {
  const { source, runningDigest } = request;
  const digest =
    runningDigest ?? source.digest ?? (await deps.registry.fetchDigest(source, 'source', signal));
  if (digest === undefined) {
    const message = `${formatReference(source)} does not exist, or may not be read`;
    throw new RegistryError(message, { reason: 'NotFound', side: 'source' });
  }
  return digest;
}

async function planCopy(
  deps: CopyReconcilerDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<CopyPlan> {
  const { REGISTRY_PREFIX: prefix, NAMING: naming, PIN_DIGEST: pinDigest } = deps.settings();
  const digest = await findDigest(deps, request, signal);
  return {
    request,
    digest,
    names: planCopyNames({ source: request.source, digest, prefix, naming, pinDigest }),
  };
}

/** Best effort: the tag that people know; the copy that workloads run from does not depend on it. */
async function tagForPeople(
  { registry, log }: CopyReconcilerDeps,
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

async function makeCopy(deps: CopyReconcilerDeps, plan: CopyPlan, signal: AbortSignal): Promise<void> {
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
async function ensureWrittenTag(
  deps: CopyReconcilerDeps,
  plan: CopyPlan,
  signal: AbortSignal,
): Promise<void> {
  const { moving, immutable } = plan.names;
  if (deps.settings().PIN_DIGEST || !moving?.tag) {
    return;
  }
  if ((await deps.registry.fetchDigest(moving, 'backup', signal)) !== plan.digest) {
    await deps.registry.tag(withDigest(immutable, plan.digest), moving.tag, signal);
  }
}

async function ensureCopy(
  deps: CopyReconcilerDeps,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<CopyState> {
  const plan = await planCopy(deps, request, signal);
  const found: Reference = plan.names.immutable;
  if ((await deps.registry.fetchDigest(found, 'backup', signal)) === plan.digest) {
    deps.log.debug({ source: formatReference(request.source), copy: plan.names.written }, 'copy found');
    deps.onCopied('found', 0);
  } else {
    await makeCopy(deps, plan, signal);
  }
  await ensureWrittenTag(deps, plan, signal);
  return { phase: 'verified', digest: plan.digest, written: plan.names.written };
}

/** When to look again at a failure that no back-off should hurry; undefined: back off. */
function planSecondLookMs(error: RegistryError, nowMs: number): number | undefined {
  if (error.retryAtMs !== undefined) {
    return Math.max(1000, error.retryAtMs - nowMs);
  }
  return error.retryable ? undefined : SECOND_LOOK_MS;
}

function settleFailure(
  deps: CopyReconcilerDeps,
  request: CopyRequest,
  error: RegistryError,
): { lookAgainMs: number } {
  const { reason, side, message } = error;
  deps.onCopied('failed', 0);
  deps.copies.settle(request, { phase: 'failed', reason, side, message });
  const lookAgainMs = planSecondLookMs(error, deps.nowMs());
  if (lookAgainMs === undefined) {
    throw error;
  }
  deps.log.warn({ source: formatReference(request.source), err: error, lookAgainMs }, 'image not copied');
  return { lookAgainMs };
}

/**
 * Brings one copy into the backup: finds the digest, looks whether the backup has it, copies when not, and
 * keeps the outcome for the workloads that wait for it.
 */
export function createCopyReconciler(deps: CopyReconcilerDeps) {
  const { copies, registry } = deps;

  /** @throws {RegistryError} when the same attempt can succeed later: the queue backs off. */
  return async function reconcileCopy(key: string, signal: AbortSignal): Promise<{ lookAgainMs?: number }> {
    const request = copies.findRequest(key);
    if (!request || copies.isVerified(key)) {
      return {};
    }
    try {
      if (request.runningDigest === undefined && (await registry.isPrivate(request.source, signal))) {
        deps.log.debug(
          { source: key },
          'copy waits for a ready pod: only that proves who may read the image',
        );
        return {};
      }
      copies.settle(request, await ensureCopy(deps, request, signal));
      return {};
    } catch (error) {
      if (!(error instanceof RegistryError) || signal.aborted) {
        throw error;
      }
      return settleFailure(deps, request, error);
    }
  };
}
