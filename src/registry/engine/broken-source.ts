import type { RegistryFailure } from '../../errors.ts';
import { isDigest } from '../../images/reference.ts';
import type { CopyJob } from '../../reconcile/ports.ts';
import { toApiHost } from '../registry-address.ts';
import type { FailedRequest, RunTrace } from './trace.ts';

export interface BrokenSource {
  readonly text: string;
  readonly reason: RegistryFailure;
}

/** What the engine says when it cannot make anything of what a source sent, and what that means; the first that fits. */
const WORDS: readonly (readonly [words: RegExp, text: string, reason: RegistryFailure])[] = [
  [
    /error getting source: .*unexpected EOF/,
    'broke off in the middle of a manifest (unexpected EOF)',
    'RegistryUnavailable',
  ],
  [/unsupported media type:? "?([\w.+/-]{1,100})/, 'sent something that is no image', 'Unsupported'],
  // Changed on its way, most likely: the next try may be better.
  [
    /manifest digest mismatch/,
    'sent another manifest than the one that was asked for (digest mismatch)',
    'Unknown',
  ],
  [
    /unmarshal?ing manifest|unexpected media type|manifest not set|error marshall?ing manifest/,
    'sent a manifest that cannot be read',
    'Unknown',
  ],
];

/**
 * A source that answers, and not with an image that can be copied; undefined when it is something else. The engine's
 * words count only where no request failed: otherwise they may be quotes of an answer.
 */
export function describeBroken(
  { source }: CopyJob,
  { finalText }: RunTrace,
  request: FailedRequest | undefined,
): BrokenSource | undefined {
  const registry = `source registry ${toApiHost(source.host)}`;
  if (request) {
    return namesNoDigest(request)
      ? {
          text: `${registry} has a manifest that names a layer by something that is no digest`,
          reason: 'Unsupported',
        }
      : undefined;
  }
  for (const [words, text, reason] of WORDS) {
    const [found, detail] = words.exec(finalText) ?? [];
    if (found !== undefined) {
      return { text: `${registry} ${text}${detail === undefined ? '' : ` (${detail})`}`, reason };
    }
  }
  return undefined;
}

/** The engine asks for a layer by what the manifest has in place of its digest. */
function namesNoDigest({ side, place, path }: FailedRequest): boolean {
  const isThere = side === 'source' && place === 'registry';
  const name = isThere ? /\/blobs\/([^/]*)$/.exec(path)?.[1] : undefined;
  return name !== undefined && !isDigest(name);
}
