import { RegistryError } from '../../errors.ts';
import { withDigest } from '../../images/reference.ts';
import type { CopyPlan, EnsureCopyDeps } from './copy-plan.ts';
import { lookUp } from './find-copy.ts';
import { type Made, makeOfSource } from './make-or-move.ts';

export interface IncompleteCopy {
  /** Of all platforms that are wanted. */
  readonly plan: CopyPlan;
  readonly isOfTag: boolean;
  readonly made: Made;
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

async function makeWhole(
  deps: EnsureCopyDeps,
  { plan, isOfTag }: IncompleteCopy,
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
export async function completeCopy(
  deps: EnsureCopyDeps,
  copy: IncompleteCopy,
  signal: AbortSignal,
): Promise<Made> {
  const { plan, made } = copy;
  try {
    const isToBeMade = await isCompleteNow(deps, plan, signal);
    const whole = isToBeMade ? await makeWhole(deps, copy, signal) : undefined;
    const { absent: _, ...there } = made;
    // What was added is no loss that was repaired.
    return whole ? { ...there, ...whole, made: made.made } : made;
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      deps.log.warn({ copy: plan.names.image, err: error }, 'copy not completed');
      return made;
    }
    throw error;
  }
}
