import { type AbsentParts, IncompleteImageError, RegistryError } from '../../errors.ts';
import { formatReference, type Reference, withDigest } from '../../images/reference.ts';
import type { CopyProgress } from '../ports.ts';
import { findInBackup } from './backup-look.ts';
import { type CopyPlan, type EnsureCopyDeps, planCopy } from './copy-plan.ts';
import { copyKey } from './copy-store.ts';
import { setPlainTag } from './plain-tag.ts';

/** A copy that the backup does not have, or not all of it. */
export interface MissingCopy {
  readonly plan: CopyPlan;
  /** `unseen`: the backup refuses to say. */
  readonly found: 'part' | 'nothing' | 'unseen';
  /** The source has given it for the tag in this very pass: only then may the plain tag mean it. */
  readonly isOfTag: boolean;
  /** Where it is copied from; the source when it is left out. */
  readonly from?: Reference;
}

/** What there is to know of a copy that was just made. */
export interface MadeCopy {
  /** What the source does not have of the image, nor the copy. */
  readonly absent?: AbsentParts;
  /** Why its signatures and the like were not copied along. */
  readonly referrersProblem?: string;
}

export function toMadeFields({ absent, referrersProblem }: MadeCopy): MadeCopy {
  return { ...(absent && { absent }), ...(referrersProblem !== undefined && { referrersProblem }) };
}

/** Digest of a manifest that the backup lacks, although it has the index that names it. */
export async function findMissingPart(
  { registry }: EnsureCopyDeps,
  { names, digest, platforms }: CopyPlan,
  signal: AbortSignal,
): Promise<string | undefined> {
  return registry.findMissingPart(withDigest(names.immutable, digest), platforms, signal);
}

/** A backup may take an index whose parts it does not have: only who looks knows what a copy of some platforms is worth. */
async function checkParts(deps: EnsureCopyDeps, plan: CopyPlan, signal: AbortSignal): Promise<void> {
  const missing = await findMissingPart(deps, plan, signal);
  if (missing !== undefined) {
    const message = `the backup has taken ${plan.names.image}, but does not have ${missing} of it`;
    throw new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
}

/** Copies it from where it is told, and proves it. */
async function makeCopyOf(
  deps: EnsureCopyDeps,
  { plan, found, isOfTag, from = plan.request.source }: MissingCopy,
  signal: AbortSignal,
): Promise<MadeCopy> {
  const source = withDigest(from, plan.digest);
  const copy = plan.names.immutable;
  const startedAtMs = deps.nowMs();
  deps.log.info({ source: formatReference(source), copy: formatReference(copy) }, 'copy started');
  const { platforms } = plan;
  const onProgress = (progress: CopyProgress): void => {
    const facts = { source: formatReference(source), copy: formatReference(copy), ...progress };
    deps.log.info({ ...facts, durationMs: deps.nowMs() - startedAtMs }, 'copy under way');
  };
  const share = deps.copies.findShare(copyKey(plan.request));
  const { referrersProblem, ...amounts } = await deps.registry.copy(
    { source, copy, platforms, share, isRepair: found === 'part', isUnseen: found === 'unseen', onProgress },
    signal,
  );
  if (platforms !== 'all') {
    await checkParts(deps, plan, signal);
  }
  if (isOfTag) {
    await setPlainTag(deps, plan, signal);
  }
  const durationMs = deps.nowMs() - startedAtMs;
  deps.log.info(
    { source: formatReference(source), copy: formatReference(copy), durationMs, ...amounts },
    'copy verified',
  );
  deps.onCopied('copied', durationMs);
  return noteReferrers(deps, source, referrersProblem);
}

function noteReferrers(
  { log }: Pick<EnsureCopyDeps, 'log'>,
  source: Reference,
  problem: string | undefined,
): Pick<MadeCopy, 'referrersProblem'> {
  if (problem === undefined) {
    return {};
  }
  log.warn({ source: formatReference(source), problem }, 'image copied without its referrers');
  return { referrersProblem: problem };
}

interface IncompleteSource {
  readonly cause: IncompleteImageError;
  /** What of the image the backup has. */
  readonly held: AbsentParts | undefined;
}

/** What there is of an image, under the name of a copy of some platforms. */
async function makeOfParts(
  deps: EnsureCopyDeps,
  missing: MissingCopy,
  { cause, held, signal }: IncompleteSource & { readonly signal: AbortSignal },
): Promise<MadeCopy> {
  const { parts } = cause;
  deps.log.warn(
    { source: formatReference(missing.plan.request.source), ...parts },
    'source lacks a part of the image',
  );
  const plan = planCopy(deps, { ...missing.plan, platforms: parts.platforms });
  try {
    return {
      ...(await makeCopyOf(deps, { ...missing, plan, ...(held && { found: 'part' }) }, signal)),
      absent: parts,
    };
  } catch (error) {
    if (error instanceof RegistryError && error.side === 'backup' && error.reason === 'Unsupported') {
      const way =
        'or allow images of which not all platforms are there in the backup registry, for what there is to be copied';
      throw new IncompleteImageError(`${cause.message}, ${way}`, parts);
    }
    throw error;
  }
}

/** What of an image is in the backup that was copied in part, because its source lacked the rest. Undefined when nothing is. */
export async function findOfParts(
  { registry, ...deps }: EnsureCopyDeps,
  plan: CopyPlan,
  signal: AbortSignal,
): Promise<AbsentParts | undefined> {
  const { immutable } = planCopy(deps, { ...plan, platforms: [] }).names;
  if ((await registry.fetchDigest(immutable, 'backup', signal)) !== plan.digest) {
    return undefined;
  }
  const where = { side: 'backup', platforms: plan.platforms } as const;
  const absent = await registry.findAbsentParts(withDigest(immutable, plan.digest), where, signal);
  return absent && absent.platforms.length > 0 ? absent : undefined;
}

/** An earlier process has copied all that the source has. */
function isAllThere({ cause: { parts }, held }: IncompleteSource): boolean {
  return held !== undefined && parts.platforms.every((platform) => held.platforms.includes(platform));
}

/**
 * Makes a copy and proves it. Of an image whose source does not have all that it names, what there is.
 *
 * @throws {RegistryError}
 */
export async function makeCopy(
  deps: EnsureCopyDeps,
  missing: MissingCopy,
  signal: AbortSignal,
): Promise<MadeCopy & { readonly made?: 'before' }> {
  try {
    return await makeCopyOf(deps, missing, signal);
  } catch (error) {
    const isOfSource = error instanceof RegistryError && error.side === 'source' && !signal.aborted;
    const find = (): Promise<AbsentParts | undefined> => findOfParts(deps, missing.plan, signal);
    const held = isOfSource ? await findInBackup(find) : undefined;
    if (error instanceof IncompleteImageError && error.parts.platforms.length > 0) {
      const incomplete = { cause: error, held };
      return isAllThere(incomplete)
        ? { absent: error.parts, made: 'before' }
        : makeOfParts(deps, missing, { ...incomplete, signal });
    }
    // Where the backup lacks a part of what it had, nobody knows any more what that was.
    if (held && missing.found === 'nothing') {
      return { absent: held, made: 'before' };
    }
    throw error;
  }
}

/** Tries again what could not be copied along with a copy that is there. Best effort: pods do not depend on it. */
export async function addReferrers(
  deps: EnsureCopyDeps,
  { plan, problem }: { readonly plan: CopyPlan; readonly problem: string },
  signal: AbortSignal,
): Promise<Pick<MadeCopy, 'referrersProblem'>> {
  const source = withDigest(plan.request.source, plan.digest);
  const share = deps.copies.findShare(copyKey(plan.request));
  try {
    const job = { source, copy: plan.names.immutable, platforms: plan.platforms, share };
    return noteReferrers(deps, source, (await deps.registry.copy(job, signal)).referrersProblem);
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      return { referrersProblem: problem };
    }
    throw error;
  }
}
