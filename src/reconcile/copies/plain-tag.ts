import type { Logger } from 'pino';

import { type CopyNames, planCopyNames } from '../../images/copy-name.ts';
import { type Reference, formatReference, withDigest } from '../../images/reference.ts';
import type { Settings } from '../../settings/settings.ts';
import type { ImageRegistry } from '../ports.ts';

interface PlainTagDeps {
  readonly registry: Pick<ImageRegistry, 'fetchDigest' | 'tag'>;
  readonly settings: () => Settings;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** An image that the source has given for the tag in this very pass. */
interface ImageOfTag {
  readonly names: Pick<CopyNames, 'moving' | 'immutable'>;
  readonly digest: string;
}

/**
 * Lets the plain tag mean an image that the backup has. All share it: people, mirrors, and rescues of workloads that know
 * of no digest. So it means only what the source itself gave, never what a record says or an old pod runs. Best effort:
 * the copy that workloads run from does not depend on it.
 */
export async function setPlainTag(
  { registry, log }: Omit<PlainTagDeps, 'settings'>,
  { names: { moving, immutable }, digest }: ImageOfTag,
  signal: AbortSignal,
): Promise<void> {
  if (!moving?.tag) {
    return;
  }
  try {
    await registry.tag(withDigest(immutable, digest), moving.tag, signal);
  } catch (err) {
    log.warn({ err, copy: formatReference(moving) }, 'plain tag not written');
  }
}

async function isRight(
  { registry, log }: PlainTagDeps,
  { moving, digest }: { readonly moving: Reference; readonly digest: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await registry.fetchDigest(moving, 'backup', signal)) === digest;
  } catch (err) {
    log.warn({ err, copy: formatReference(moving) }, 'plain tag not checked');
    return true;
  }
}

/**
 * The same for a copy that was there before: another hand may have set the tag, or a pass that could not tell what the
 * source means has left it. One HEAD.
 */
export async function correctPlainTag(
  deps: PlainTagDeps,
  { source, digest }: { readonly source: Reference; readonly digest: string },
  signal: AbortSignal,
): Promise<void> {
  const { REGISTRY_PREFIX: prefix, NAMING: naming, PLATFORMS: platforms } = deps.settings();
  const names = planCopyNames({ source, digest, prefix, naming, isPartial: platforms !== 'all' });
  const { moving } = names;
  if (moving && !(await isRight(deps, { moving, digest }, signal))) {
    deps.log.info({ copy: formatReference(moving), digest }, 'plain tag put right');
    await setPlainTag(deps, { names, digest }, signal);
  }
}
