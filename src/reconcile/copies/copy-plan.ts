import type { Logger } from 'pino';

import { type CopyNames, planCopyNames } from '../../images/copy-name.ts';
import type { Platforms } from '../../images/platforms.ts';
import { formatReference } from '../../images/reference.ts';
import type { Settings } from '../../settings/settings.ts';
import type { ImageRegistry } from '../ports.ts';
import type { CopyRequest } from './copy-state.ts';
import type { CopyStore } from './copy-store.ts';

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
export interface CopyPlan {
  readonly request: CopyRequest;
  readonly digest: string;
  readonly names: CopyNames;
  readonly platforms: Platforms;
}

/** `platforms`: other than those that the settings name. */
export function planCopy(
  deps: Pick<EnsureCopyDeps, 'settings'>,
  {
    request,
    digest,
    platforms,
  }: Omit<CopyPlan, 'names' | 'platforms'> & { readonly platforms?: Platforms | undefined },
): CopyPlan {
  const { REGISTRY_PREFIX: prefix, NAMING: naming, PLATFORMS } = deps.settings();
  const wanted = platforms ?? PLATFORMS;
  const names = planCopyNames({
    source: request.source,
    digest,
    prefix,
    naming,
    isPartial: wanted !== 'all',
  });
  return { request, digest, names, platforms: wanted };
}

export function isSameName(
  { names: { immutable: a } }: CopyPlan,
  { names: { immutable: b } }: CopyPlan,
): boolean {
  return formatReference(a) === formatReference(b);
}
