import type { Logger } from 'pino';

import { type CopyNames, planCopyNames } from '../../images/copy-name.ts';
import { RegistryError } from '../../errors.ts';
import type { Platforms } from '../../images/platforms.ts';
import { formatReference, parseReference, withDigest } from '../../images/reference.ts';
import type { Settings } from '../../settings/settings.ts';
import { askBackup } from './backup-look.ts';
import type { Copy, CopyRequest } from './copy-state.ts';
import { type CopyStore, copyKey } from './copy-store.ts';
import type { CopyProgress, ImageRegistry } from '../ports.ts';
import { setPlainTag } from './plain-tag.ts';

export interface EnsureCopyDeps {
  readonly registry: ImageRegistry;
  /** Knows for whom copies are. */
  readonly copies: Pick<CopyStore, 'findShare'>;
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
  readonly platforms: Platforms;
}

function planCopy(deps: EnsureCopyDeps, request: CopyRequest, digest: string): CopyPlan {
  const { PLATFORMS: platforms } = deps.settings();
  return { request, digest, names: planNames(deps, { request, digest, platforms }), platforms };
}

function planNames(deps: EnsureCopyDeps, { request, digest, platforms }: Omit<CopyPlan, 'names'>): CopyNames {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = deps.settings();
  return planCopyNames({ source: request.source, digest, prefix, naming, isPartial: platforms !== 'all' });
}

/**
 * What of a copy the backup has. `part`: it lacks a manifest that the index of the copy names. `another`: the tag of the copy
 * means an image whose digest begins alike. `unseen`: it refuses to say.
 */
type Found = 'all' | 'part' | 'nothing' | 'another' | 'unseen';

async function makeCopy(
  deps: EnsureCopyDeps,
  { plan, found, isOfTag }: { readonly plan: CopyPlan; readonly found: Found; readonly isOfTag: boolean },
  signal: AbortSignal,
): Promise<void> {
  const source = withDigest(plan.request.source, plan.digest);
  const copy = plan.names.immutable;
  const startedAtMs = deps.nowMs();
  deps.log.info({ source: formatReference(source), copy: formatReference(copy) }, 'copy started');
  const { platforms } = plan;
  const onProgress = (progress: CopyProgress): void => {
    const facts = { source: formatReference(source), copy: formatReference(copy), ...progress };
    deps.log.info({ ...facts, durationMs: deps.nowMs() - startedAtMs }, 'copy under way');
  };
  const share = deps.copies.findShare(copyKey(plan.request));
  const amounts = await deps.registry.copy(
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
}

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

export interface EnsuredCopy extends Copy {
  /** What of it was copied just now; `before`: the backup had it already. */
  readonly made: 'before' | 'in part' | 'whole';
  /** The backup did not say what it had before. */
  readonly isUnseen?: boolean;
}

const MADE: Readonly<Record<Exclude<Found, 'another'>, EnsuredCopy['made']>> = {
  all: 'before',
  part: 'in part',
  nothing: 'whole',
  unseen: 'whole',
};

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
  /** Told when the backup says that it does not have the copy, or not all of it. */
  readonly onMissing?: () => void;
}

async function findMissingPart(
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

function isSameName({ immutable: a }: CopyNames, { immutable: b }: CopyNames): boolean {
  return formatReference(a) === formatReference(b);
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
    return 'unseen';
  }
  const there = answer.value;
  if (there !== plan.digest) {
    const isTwin = there !== undefined && isSameName(planNames(deps, { ...plan, digest: there }), plan.names);
    return isTwin ? 'another' : 'nothing';
  }
  const isAsked = depth !== 'tag' || plan.platforms !== 'all';
  const missing = isAsked ? await findMissingPart(deps, plan, signal) : undefined;
  if (missing !== undefined) {
    deps.log.warn({ copy: plan.names.image, missing }, 'a part of the copy is not in the backup any more');
    return 'part';
  }
  return 'all';
}

/** Whether the backup knows the image that pods are pointed at, and not only the tag of the copy. */
async function isImageThere(deps: EnsureCopyDeps, plan: CopyPlan, signal: AbortSignal): Promise<boolean> {
  const image = parseReference(plan.names.image);
  return (await deps.registry.fetchDigest(image, 'backup', signal)) === plan.digest;
}

/**
 * Looks for a copy and makes none. Undefined unless the backup has all of it that is to be there, be it as part of a
 * whole one.
 *
 * @throws {RegistryError}
 */
export async function findCopy(
  deps: EnsureCopyDeps,
  { request, digest }: FindCopyJob,
  signal: AbortSignal,
): Promise<Copy | undefined> {
  const plan = planCopy(deps, request, digest);
  const whole = { ...plan, names: planNames(deps, { request, digest, platforms: 'all' }) };
  for (const candidate of plan.platforms === 'all' ? [plan] : [plan, whole]) {
    if ((await lookUp(deps, { plan: candidate, depth: 'tag' }, signal)) === 'all') {
      return { digest, image: plan.names.image };
    }
  }
  return undefined;
}

/** Whoever builds an image so that its digest begins like that of another one must not take the place of its copy. */
function createTwinError({ names, digest }: CopyPlan): RegistryError {
  const message = `the backup has another image as ${formatReference(names.immutable)}, whose digest begins like ${digest}`;
  return new RegistryError(message, { reason: 'Unsupported', side: 'backup' });
}

interface MissingCopy {
  readonly plan: CopyPlan;
  readonly found: Exclude<Found, 'all' | 'another'>;
  readonly isOfTag: boolean;
  readonly onMissing: () => void;
}

/** @returns false when it must not be copied yet. */
async function make(
  deps: EnsureCopyDeps,
  { onMissing, ...missing }: MissingCopy,
  signal: AbortSignal,
): Promise<boolean> {
  const { plan, found } = missing;
  if (found !== 'unseen') {
    onMissing();
  }
  if (await lacksProof(deps, plan, signal)) {
    return false;
  }
  await makeCopy(deps, missing, signal);
  return true;
}

/**
 * Sees to it that the backup has a digest of a source. Undefined: it must not be copied yet, because nothing proves who
 * may read the image.
 *
 * @throws {RegistryError}
 */
export async function ensureCopy(
  deps: EnsureCopyDeps,
  { request, digest, depth = 'tag', isOfTag, onMissing = () => {} }: EnsureCopyJob,
  signal: AbortSignal,
): Promise<EnsuredCopy | undefined> {
  const plan = planCopy(deps, request, digest);
  const { image } = plan.names;
  const found = await lookUp(deps, { plan, depth }, signal);
  if (found === 'another') {
    onMissing();
    throw createTwinError(plan);
  }
  if (found === 'all') {
    deps.log.debug({ source: formatReference(request.source), copy: image }, 'copy found');
    deps.onCopied('found', 0);
  } else if (!(await make(deps, { plan, found, isOfTag, onMissing }, signal))) {
    return undefined;
  }
  if (depth === 'image' && !(await isImageThere(deps, plan, signal))) {
    onMissing();
    const message = `the backup has the tag of the copy, but not ${image}`;
    throw new RegistryError(message, { reason: 'Unknown', side: 'backup' });
  }
  return { digest, image, made: MADE[found], ...(found === 'unseen' && { isUnseen: true }) };
}
