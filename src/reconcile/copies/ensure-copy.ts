import { RegistryError } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import { completeCopy } from './complete-copy.ts';
import { type CopyPlan, type EnsureCopyDeps, planCopy } from './copy-plan.ts';
import type { Copy } from './copy-state.ts';
import { type FindCopyJob, type Found, type LookDepth, checkImage, lookUp } from './find-copy.ts';
import { type MadeCopy, addReferrers } from './make-copy.ts';
import { type Made, makeOrMove } from './make-or-move.ts';

export type EnsuredCopy = Copy & Made;

export interface EnsureCopyJob extends FindCopyJob {
  /** `tag` when it is left out. */
  readonly depth?: LookDepth;
  /** The source has given it for the tag in this very pass: only then may the plain tag mean it. */
  readonly isOfTag: boolean;
  /** What is known of the copy since it was made. */
  readonly before?: MadeCopy | undefined;
  /** Told when the backup says that it does not have the copy, or not all of it. */
  readonly onMissing: () => void;
}

/** Whoever builds an image so that its digest begins like that of another one must not take the place of its copy. */
function createTwinError({ names, digest }: CopyPlan): RegistryError {
  const message = `the backup has another image as ${formatReference(names.immutable)}, whose digest begins like ${digest}`;
  return new RegistryError(message, { reason: 'Unsupported', side: 'backup' });
}

async function confirm(
  deps: EnsureCopyDeps,
  { plan, before = {} }: { readonly plan: CopyPlan; readonly before: MadeCopy | undefined },
  signal: AbortSignal,
): Promise<Made> {
  const { referrersProblem: problem } = before;
  deps.log.debug({ source: formatReference(plan.request.source), copy: plan.names.image }, 'copy found');
  deps.onCopied('found', 0);
  const referrers = problem === undefined ? {} : await addReferrers(deps, { plan, problem }, signal);
  return { made: 'before', ...referrers };
}

interface PlannedJob {
  readonly job: EnsureCopyJob;
  readonly plan: CopyPlan;
}

/** @throws {RegistryError} for a copy that was seen before, of which the backup does not say that it is gone. */
function missOutcome(found: Found, before: MadeCopy | undefined): undefined {
  if (found.is === 'unseen' && before) {
    throw found.error;
  }
}

async function ensurePlanned(
  deps: EnsureCopyDeps,
  { job: { depth = 'tag', isOfTag, before, onMissing }, plan }: PlannedJob,
  signal: AbortSignal,
): Promise<Made | undefined> {
  const found = await lookUp(deps, { plan, depth }, signal);
  if (found.is !== 'all' && found.is !== 'unseen') {
    onMissing();
  }
  if (found.is === 'another') {
    throw createTwinError(plan);
  }
  const outcome =
    found.is === 'all'
      ? await confirm(deps, { plan, before }, signal)
      : await makeOrMove(deps, { plan, found: found.is, isOfTag }, signal);
  if (!outcome) {
    return missOutcome(found, before);
  }
  if (depth === 'image') {
    await checkImage(deps, { plan, onMissing }, signal);
  }
  // Of what was not to be copied, nothing was.
  return { ...(before?.absent && { absent: before.absent }), ...outcome };
}

/**
 * Sees to it that the backup has a digest of a source. Undefined: it must not be copied yet, because nothing proves who
 * may read the image.
 *
 * @throws {RegistryError}
 */
export async function ensureCopy(
  deps: EnsureCopyDeps,
  job: EnsureCopyJob,
  signal: AbortSignal,
): Promise<EnsuredCopy | undefined> {
  const { request, digest, before, isOfTag } = job;
  // Of a copy that was made without some platforms, the others are looked for.
  const plan = planCopy(deps, { request, digest, platforms: before?.absent?.platforms });
  const made = await ensurePlanned(deps, { job, plan }, signal);
  const outcome =
    made && before?.absent
      ? await completeCopy(deps, { plan: planCopy(deps, { request, digest }), isOfTag, made }, signal)
      : made;
  return outcome && { digest, image: plan.names.image, ...outcome };
}
