import { RegistryError } from '../../errors.ts';
import { parseReference } from '../../images/reference.ts';
import { askBackup } from './backup-look.ts';
import { type CopyPlan, type EnsureCopyDeps, isSameName, planCopy } from './copy-plan.ts';
import type { Copy, CopyRequest } from './copy-state.ts';
import { type MadeCopy, findMissingPart, findOfParts } from './make-copy.ts';

/**
 * What of a copy the backup has. `part`: it lacks a manifest that the index of the copy names. `another`: the tag of the copy
 * means an image whose digest begins alike. `unseen`: it refuses to say.
 */
export type Found =
  | { readonly is: 'all' | 'part' | 'nothing' }
  | { readonly is: 'another' }
  | { readonly is: 'unseen'; readonly error: RegistryError };

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

/** One HEAD, unless the parts matter, too. */
export async function lookUp(
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
export async function checkImage(
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
