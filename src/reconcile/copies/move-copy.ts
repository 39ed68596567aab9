import { RegistryError } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import type { EnsureCopyDeps } from './copy-plan.ts';
import type { FormerCopy } from './copy-state.ts';
import { type MadeCopy, type MissingCopy, makeCopy } from './make-copy.ts';

/** Pods run it from there, or everybody may. */
async function mayBeRead(
  { registry }: EnsureCopyDeps,
  { image, isShown }: FormerCopy,
  signal: AbortSignal,
): Promise<boolean> {
  return isShown || !(await registry.isPrivate(image, 'source', signal));
}

/** The plain tag of the former place means it, and none is in the backup yet: rescues and mirrors need one. Best effort. */
async function isLatest(
  { registry }: EnsureCopyDeps,
  { names: { moving }, digest }: MissingCopy['plan'],
  { former, signal }: { readonly former: FormerCopy; readonly signal: AbortSignal },
): Promise<boolean> {
  const { host, repository, tag } = former.image;
  if (!moving || tag === undefined || tag !== moving.tag) {
    return false;
  }
  const plain = { host, repository, tag };
  try {
    const isOfFormer = (await registry.fetchDigest(plain, 'source', signal)) === digest;
    return isOfFormer && (await registry.fetchDigest(moving, 'backup', signal)) === undefined;
  } catch (error) {
    if (error instanceof RegistryError && !signal.aborted) {
      return false;
    }
    throw error;
  }
}

type MovedCopy = MadeCopy & { readonly movedFrom: string };

interface Move {
  readonly missing: MissingCopy;
  readonly former: FormerCopy;
}

/** Undefined when it may not be read, or cannot be had. */
async function moveFrom(
  deps: EnsureCopyDeps,
  { missing, former }: Move,
  signal: AbortSignal,
): Promise<MovedCopy | undefined> {
  const movedFrom = formatReference(former.image);
  try {
    if (!(await mayBeRead(deps, former, signal))) {
      const why = 'it is not public, and no ready pod shows that the workload may read it';
      deps.log.warn({ from: movedFrom, why }, 'former copy not used');
      return undefined;
    }
    const isOfTag = await isLatest(deps, missing.plan, { former, signal });
    return { ...(await makeCopy(deps, { ...missing, from: former.image, isOfTag }, signal)), movedFrom };
  } catch (error) {
    if (!(error instanceof RegistryError) || error.side === 'backup' || signal.aborted) {
      throw error;
    }
    deps.log.warn({ from: movedFrom, err: error }, 'former copy not to be had');
    return undefined;
  }
}

/**
 * Makes a copy of one that was made before the settings changed, for images that their source does not give out any more.
 * The digest is the same, so that it is the same image. Undefined when there is none, or none that can be had.
 *
 * @throws {RegistryError} when the backup does not take it.
 */
export async function moveCopy(
  deps: EnsureCopyDeps,
  missing: MissingCopy,
  signal: AbortSignal,
): Promise<MovedCopy | undefined> {
  for (const former of missing.plan.request.formers ?? []) {
    const moved = await moveFrom(deps, { missing, former }, signal);
    if (moved) {
      return moved;
    }
  }
  return undefined;
}
