import { createHash } from 'node:crypto';

import { RegistryError } from '../../errors.ts';
import { keepNewest } from '../../keep-newest.ts';
import type { Access, RegistryDeps } from './access.ts';
import { fetchBearerToken } from './bearer-token.ts';
import { parseChallenge } from './challenge.ts';
import { toBase64 } from '../credentials/credentials.ts';

/** Knows which `Authorization` to send, and remembers it so that most look-ups are one request. */
export interface Authorizer {
  /** From an earlier challenge, still good; undefined: ask without and see. */
  recall(access: Access): string | undefined;
  /**
   * Meets the challenge of a 401.
   *
   * @throws {RegistryError}
   */
  meet(access: Access, header: string | undefined): Promise<string>;
}

/** Basic has no end of its own; this bounds how long a rotated password stays in memory. */
const KEEP_BASIC_MS = 10 * 60_000;

/** However long a registry says that its token lasts. */
const KEEP_TOKEN_MS = 60 * 60_000;
/** Oldest first out: a workload may name any number of repositories. */
const MOST_REMEMBERED = 2_000;

interface Remembered {
  readonly authorization: string;
  readonly untilMs: number;
}

export function createAuthorizer(deps: RegistryDeps): Authorizer {
  const remembered = new Map<string, Remembered>();

  function remember(key: string, authorization: string, untilMs: number): string {
    const now = deps.clock.monotonicMs();
    for (const [other, { untilMs: endMs }] of remembered) {
      if (endMs <= now) {
        remembered.delete(other);
      }
    }
    const entry = { authorization, untilMs: Math.min(untilMs, now + KEEP_TOKEN_MS) };
    keepNewest(remembered, [key, entry], MOST_REMEMBERED);
    return authorization;
  }

  return {
    recall(access) {
      const keys = [toKey(access, 'repository'), toKey(access, 'registry')];
      const found = keys
        .map((key) => remembered.get(key))
        .find((entry) => entry && deps.clock.monotonicMs() < entry.untilMs);
      return found?.authorization;
    },
    async meet(access, header) {
      remembered.delete(toKey(access, 'repository'));
      remembered.delete(toKey(access, 'registry'));
      const challenge = parseChallenge(header);
      if (challenge?.scheme === 'bearer') {
        const { token, untilMs } = await fetchBearerToken(challenge, access, deps);
        return remember(toKey(access, 'repository'), `Bearer ${token}`, untilMs);
      }
      if (challenge?.scheme === 'basic' && access.credential?.kind === 'password') {
        const authorization = `Basic ${toBase64(access.credential)}`;
        return remember(toKey(access, 'registry'), authorization, deps.clock.monotonicMs() + KEEP_BASIC_MS);
      }
      throw createChallengeError(access, challenge?.scheme);
    },
  };
}

/** A token is for one repository, or for one and another; a password for all that a registry has. */
function toKey(
  { origin, repository, actions, from = '', credential }: Access,
  reach: 'registry' | 'repository',
): string {
  const who = createHash('sha256')
    .update(JSON.stringify(credential ?? null))
    .digest('base64');
  return reach === 'registry'
    ? `${origin.origin} ${who}`
    : `${origin.origin} ${who} ${repository} ${actions} ${from}`;
}

function createChallengeError(access: Access, scheme: 'basic' | undefined): RegistryError {
  const { doing, side, origin, credential } = access;
  const why =
    scheme === undefined
      ? 'refuses without saying how to log in'
      : credential
        ? 'wants a password, and config.json has an identity token'
        : 'wants a password, and config.json has none for it';
  return new RegistryError(`${doing}: ${side} registry ${origin.host} ${why}`, {
    reason: 'Unauthorized',
    side,
  });
}
