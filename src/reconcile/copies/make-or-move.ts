import { RegistryError } from '../../errors.ts';
import { withDigest } from '../../images/reference.ts';
import type { CopyPlan, EnsureCopyDeps } from './copy-plan.ts';
import { type MadeCopy, type MissingCopy, makeCopy } from './make-copy.ts';
import { moveCopy } from './move-copy.ts';

/** What has become of a copy in a pass. */
export interface Made extends MadeCopy {
  /** What of it was copied just now; `before`: the backup had it already. */
  readonly made: 'before' | 'in part' | 'whole';
  /** The backup did not say what it had before. */
  readonly isUnseen?: boolean;
  /** The former copy that it was copied from. */
  readonly movedFrom?: string;
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

function toMade(found: MissingCopy['found'], copy: Partial<Made>): Made {
  return {
    made: found === 'part' ? 'in part' : 'whole',
    ...copy,
    ...(found === 'unseen' && { isUnseen: true }),
  };
}

/** Undefined: it must not be copied yet. */
export async function makeOfSource(
  deps: EnsureCopyDeps,
  missing: MissingCopy,
  signal: AbortSignal,
): Promise<Made | undefined> {
  const isUnproven = await lacksProof(deps, missing.plan, signal);
  return isUnproven ? undefined : toMade(missing.found, await makeCopy(deps, missing, signal));
}

/** From the source, or from where the copy was before the settings changed. Undefined: it must not be copied yet. */
export async function makeOrMove(
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
