import { RegistryError } from '../../errors.ts';
import { formatReference, parseReference, withDigest } from '../../images/reference.ts';
import { askBackup } from './backup-look.ts';
import { type CopyPlan, type EnsureCopyDeps, isSameName, planCopy } from './copy-plan.ts';
import type { Copy, CopyRequest } from './copy-state.ts';
import {
  type MadeCopy,
  type MissingCopy,
  addReferrers,
  findMissingPart,
  findOfParts,
  makeCopy,
} from './make-copy.ts';
import { moveCopy } from './move-copy.ts';

/**
 * What of a copy the backup has. `part`: it lacks a manifest that the index of the copy names. `another`: the tag of the copy
 * means an image whose digest begins alike. `unseen`: it refuses to say.
 */
type Found =
  | { readonly is: 'all' | 'part' | 'nothing' }
  | { readonly is: 'another' }
  | { readonly is: 'unseen'; readonly error: RegistryError };

/** True for an image that not everybody may read, unless a pod has shown that the workload's owner may. */
async function lacksProof(
  { registry }: EnsureCopyDeps,
  { request, digest }: CopyPlan,
  signal: AbortSignal,
): Promise<boolean> {
  return (
    !request.isProven && (await registry.isPrivate(withDigest(request.source, digest), 'source', signal))
  );
}

export interface EnsuredCopy extends Copy, MadeCopy {
  /** What of it was copied just now; `before`: the backup had it already. */
  readonly made: 'before' | 'in part' | 'whole';
  /** The backup did not say what it had before. */
  readonly isUnseen?: boolean;
  /** The former copy that it was copied from. */
  readonly movedFrom?: string;
}

/**
 * How closely the backup is looked at. `tag`: one HEAD for the tag of the copy, and for the parts where not all platforms are
 * copied. `parts`: for the parts in any case. What cleans up in a registry takes manifests without a tag, which those of the
 * platforms are; layers go only with the last manifest that has them, so that nobody needs to ask for them. `image`: for what
 * pods are pointed at as well, because the copy was missed before although its tag is there.
 */
export type LookDepth = 'tag' | 'parts' | 'image';

/** A digest of a source. */
export interface FindCopyJob {
  readonly request: CopyRequest;
  readonly digest: string;
}

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

/** One HEAD, unless the parts matter, too. */
async function lookUp(
  deps: EnsureCopyDeps,
  { plan, depth }: { readonly plan: CopyPlan; readonly depth: LookDepth },
  signal: AbortSignal,
): Promise<Found> {
  const answer = await askBackup(() => deps.registry.fetchDigest(plan.names.immutable, 'backup', signal));
  if (answer.is === 'refused') {
    deps.log.debug({ copy: plan.names.image, err: answer.error }, 'the backup does not say what it has');
    return { is: 'unseen', error: answer.error };
  }
  const there = answer.value;
  if (there !== plan.digest) {
    const isTwin = there !== undefined && isSameName(planCopy(deps, { ...plan, digest: there }), plan);
    return { is: isTwin ? 'another' : 'nothing' };
  }
  const isAsked = depth !== 'tag' || plan.platforms !== 'all';
  const missing = isAsked ? await findMissingPart(deps, plan, signal) : undefined;
  if (missing !== undefined) {
    deps.log.warn({ copy: plan.names.image, missing }, 'a part of the copy is not in the backup any more');
    return { is: 'part' };
  }
  return { is: 'all' };
}

/** @throws {RegistryError} when the registry knows the tag of a copy, but not the image that pods are pointed at. */
async function checkImage(
  deps: EnsureCopyDeps,
  { plan, onMissing }: { readonly plan: CopyPlan; readonly onMissing: () => void },
  signal: AbortSignal,
): Promise<void> {
  const { image } = plan.names;
  if ((await deps.registry.fetchDigest(parseReference(image), 'backup', signal)) !== plan.digest) {
    onMissing();
    const message = `the backup has the tag of the copy, but not ${image}`;
    throw new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
}

export type ThereCopy = Copy & Pick<MadeCopy, 'absent'>;

/**
 * Looks for a copy and makes none. Undefined unless the backup has all of it that is to be there, be it as part of a
 * whole one, or all that its source ever had.
 *
 * @throws {RegistryError} when the backup does not say.
 */
export async function findCopy(
  deps: EnsureCopyDeps,
  { request, digest }: FindCopyJob,
  signal: AbortSignal,
): Promise<ThereCopy | undefined> {
  const plan = planCopy(deps, { request, digest });
  const whole = { ...plan, names: planCopy(deps, { request, digest, platforms: 'all' }).names };
  for (const candidate of plan.platforms === 'all' ? [plan] : [plan, whole]) {
    const found = await lookUp(deps, { plan: candidate, depth: 'tag' }, signal);
    if (found.is === 'unseen') {
      throw found.error;
    }
    if (found.is === 'all') {
      return { digest, image: plan.names.image };
    }
  }
  const absent = await findOfParts(deps, plan, signal);
  return absent && { digest, image: plan.names.image, absent };
}

/** Whoever builds an image so that its digest begins like that of another one must not take the place of its copy. */
function createTwinError({ names, digest }: CopyPlan): RegistryError {
  const message = `the backup has another image as ${formatReference(names.immutable)}, whose digest begins like ${digest}`;
  return new RegistryError(message, { reason: 'Unsupported', side: 'backup' });
}

/** The source has by now what it lacked when the copy was made. */
async function isCompleteNow(
  { registry }: EnsureCopyDeps,
  { request, digest, platforms }: CopyPlan,
  signal: AbortSignal,
): Promise<boolean> {
  const image = withDigest(request.source, digest);
  const isThere = (await registry.fetchDigest(image, 'source', signal)) === digest;
  return (
    isThere && (await registry.findAbsentParts(image, { side: 'source', platforms }, signal)) === undefined
  );
}

async function confirm(
  deps: EnsureCopyDeps,
  { plan, before = {} }: { readonly plan: CopyPlan; readonly before: MadeCopy | undefined },
  signal: AbortSignal,
): Promise<Made> {
  const { absent, referrersProblem: problem } = before;
  deps.log.debug({ source: formatReference(plan.request.source), copy: plan.names.image }, 'copy found');
  deps.onCopied('found', 0);
  const referrers = problem === undefined ? {} : await addReferrers(deps, { plan, problem }, signal);
  return { made: 'before', ...(absent && { absent }), ...referrers };
}

type Made = Omit<EnsuredCopy, keyof Copy>;

function toMade(found: MissingCopy['found'], copy: Partial<Made>): Made {
  return {
    made: found === 'part' ? 'in part' : 'whole',
    ...copy,
    ...(found === 'unseen' && { isUnseen: true }),
  };
}

/** Undefined: it must not be copied yet. */
async function makeOfSource(
  deps: EnsureCopyDeps,
  missing: MissingCopy,
  signal: AbortSignal,
): Promise<Made | undefined> {
  const isUnproven = await lacksProof(deps, missing.plan, signal);
  return isUnproven ? undefined : toMade(missing.found, await makeCopy(deps, missing, signal));
}

/** From the source, or from where the copy was before the settings changed. Undefined: it must not be copied yet. */
async function make(
  deps: EnsureCopyDeps,
  missing: MissingCopy,
  signal: AbortSignal,
): Promise<Made | undefined> {
  const move = async (): Promise<Made | undefined> => {
    const moved = await moveCopy(deps, missing, signal);
    return moved && toMade(missing.found, moved);
  };
  try {
    return (await makeOfSource(deps, missing, signal)) ?? (await move());
  } catch (error) {
    const isOfSource = error instanceof RegistryError && error.side === 'source' && !signal.aborted;
    const moved = isOfSource ? await move() : undefined;
    if (moved) {
      return moved;
    }
    throw error;
  }
}

interface PlannedJob {
  readonly job: EnsureCopyJob;
  readonly plan: CopyPlan;
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
      : await make(deps, { plan, found: found.is, isOfTag }, signal);
  if (!outcome) {
    return missOutcome(found, before);
  }
  if (depth === 'image') {
    await checkImage(deps, { plan, onMissing }, signal);
  }
  return outcome;
}

async function makeWhole(
  deps: EnsureCopyDeps,
  { job: { isOfTag }, plan }: PlannedJob,
  signal: AbortSignal,
): Promise<Partial<Made> | undefined> {
  const found = await lookUp(deps, { plan, depth: 'parts' }, signal);
  if (found.is === 'all') {
    return {};
  }
  return found.is === 'nothing' || found.is === 'part'
    ? makeOfSource(deps, { plan, found: found.is, isOfTag }, signal)
    : undefined;
}

/** Makes a copy whole whose source lacked a part when it was made. Best effort: what there is stays proven. */
async function complete(
  deps: EnsureCopyDeps,
  { job, made }: { readonly job: EnsureCopyJob; readonly made: Made },
  signal: AbortSignal,
): Promise<Made> {
  const plan = planCopy(deps, job);
  try {
    const isToBeMade = await isCompleteNow(deps, plan, signal);
    const whole = isToBeMade ? await makeWhole(deps, { job, plan }, signal) : undefined;
    // Nothing of it was lost that the backup had.
    return whole ? { ...whole, made: 'before' } : made;
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      deps.log.warn({ copy: plan.names.image, err: error }, 'copy not completed');
      return made;
    }
    throw error;
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
  job: EnsureCopyJob,
  signal: AbortSignal,
): Promise<EnsuredCopy | undefined> {
  const { request, digest, before } = job;
  // Of a copy that was made without some platforms, the others are looked for.
  const plan = planCopy(deps, { request, digest, platforms: before?.absent?.platforms });
  const made = await ensurePlanned(deps, { job, plan }, signal);
  const isIncomplete = before?.absent !== undefined && made?.absent !== undefined;
  const outcome = isIncomplete ? await complete(deps, { job, made }, signal) : made;
  return outcome && { digest, image: plan.names.image, ...outcome };
}

/** @throws {RegistryError} for a copy that was seen before, of which the backup does not say that it is gone. */
function missOutcome(found: Found, before: MadeCopy | undefined): undefined {
  if (found.is === 'unseen' && before) {
    throw found.error;
  }
}
