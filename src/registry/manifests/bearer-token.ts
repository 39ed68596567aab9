import { z } from 'zod';

import { RegistryError } from '../../errors.ts';
import type { Access, RegistryDeps } from './access.ts';
import type { Challenge } from './challenge.ts';
import { toBase64 } from '../credentials/credentials.ts';
import { findForwardingProblem } from './forwarding.ts';
import type { HttpAnswer, HttpRequest } from './http-client.ts';
import { hideSecrets, LONGEST_QUOTED, toPlainText } from '../../plain-text.ts';
import { createAnswerError, type FailedAnswer } from '../registry-failure.ts';
import { toTransportError } from './transport-failure.ts';

export interface BearerToken {
  readonly token: string;
  /** Monotonic time until which it may be sent. */
  readonly untilMs: number;
}

const ANSWER = z.object({
  token: z.string().nullish(),
  access_token: z.string().nullish(),
  expires_in: z.number().nonnegative().nullish(),
});
/** What the token specification says for services that do not say. */
const UNSAID_SECONDS = 60;
/** Not sent in its last seconds: it has to arrive while it is good. */
const MARGIN_MS = 10_000;
/** Real ones have 1 to 4 kB. Every failure is searched for them, in all their spellings. */
const LONGEST_TOKEN = 8 * 1024;
const CLIENT = 'backup-image-registry';

/**
 * Fetches an access token from the service that a registry names in its challenge: anonymously without a
 * credential.
 *
 * @throws {RegistryError}
 */
export async function fetchBearerToken(
  challenge: Challenge & { readonly scheme: 'bearer' },
  access: Access,
  deps: RegistryDeps,
): Promise<BearerToken> {
  const realm = await parseRealm(challenge.realm, access, deps);
  const sentAtMs = deps.clock.monotonicMs();
  let answer: HttpAnswer;
  try {
    answer = await deps.http.send(createTokenRequest(challenge, realm, access));
  } catch (error) {
    throw toTransportError(error, { ...access, host: realm.host });
  }
  if (answer.status !== 200) {
    throw createAnswerError(describeAnswer(answer, realm, access), deps.clock.nowMs());
  }
  const parsed = parseAnswer(answer.body);
  if (!parsed) {
    const message =
      `${access.doing}: token service ${realm.host} of the ${access.side} registry ` +
      `sent no token of at most ${LONGEST_TOKEN} characters`;
    throw new RegistryError(message, { reason: 'Unknown', side: access.side });
  }
  return { token: parsed.token, untilMs: sentAtMs + parsed.lifeMs - MARGIN_MS };
}

/**
 * The credential goes where the registry points: only to places that cannot harm anyone but the registry
 * itself.
 */
async function parseRealm(text: string, access: Access, deps: RegistryDeps): Promise<URL> {
  const realm = URL.parse(text, access.origin);
  const problem = realm
    ? await findForwardingProblem(access.origin, realm, (name) => deps.resolveHost(name, access.signal))
    : 'is no web address';
  if (!realm || problem !== undefined) {
    const named = realm ? `${realm.protocol}//${realm.host}` : toPlainText(text, 64);
    const message =
      `${access.doing}: ${access.side} registry ${access.origin.host} names a token service that is not used, ` +
      `because ${named} ${problem}`;
    throw new RegistryError(message, { reason: 'Unauthorized', side: access.side });
  }
  return realm;
}

function createTokenRequest(
  { service, scope: wanted }: Challenge & { readonly scheme: 'bearer' },
  realm: URL,
  access: Access,
): HttpRequest {
  const { credential, signal } = access;
  const scopes = listScopes(wanted, access);
  const common = { ...(service !== undefined && { service }) };
  if (credential?.kind === 'identityToken') {
    const form = {
      ...common,
      scope: scopes.join(' '),
      grant_type: 'refresh_token',
      client_id: CLIENT,
      refresh_token: credential.token,
    };
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url: realm, headers, body: new URLSearchParams(form).toString(), signal };
  }
  const url = new URL(realm);
  for (const [name, value] of Object.entries(common)) {
    url.searchParams.set(name, value);
  }
  url.searchParams.delete('scope');
  for (const scope of scopes) {
    url.searchParams.append('scope', scope);
  }
  return {
    method: 'GET',
    url,
    headers: credential ? { authorization: `Basic ${toBase64(credential)}` } : {},
    signal,
  };
}

/** What the registry asks for; and the repository that is to be read besides, which some leave to us. */
function listScopes(wanted: string | undefined, { repository, actions, from }: Access): readonly string[] {
  const asked = wanted?.split(' ').filter((scope) => scope !== '') ?? [];
  const scopes = asked.length > 0 ? asked : [`repository:${repository}:${actions}`];
  const isCovered = from === undefined || scopes.some((scope) => scope.startsWith(`repository:${from}:`));
  return isCovered ? scopes : [...scopes, `repository:${from}:pull`];
}

function describeAnswer({ status, headers, body }: HttpAnswer, realm: URL, access: Access): FailedAnswer {
  // A refresh token that is no longer known is answered with 400, and everything in this range is about who asks.
  const isRefusal = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return {
    doing: access.doing,
    side: access.side,
    host: realm.host,
    status,
    operation: 'token request',
    retryAfter: headers['retry-after'],
    body: hideSecrets(body.toString('utf8', 0, LONGEST_QUOTED), [...access.shown]),
    ...(isRefusal && { reason: 'Unauthorized' }),
  };
}

function parseAnswer(body: Buffer): { readonly token: string; readonly lifeMs: number } | undefined {
  try {
    const answer = ANSWER.parse(JSON.parse(body.toString('utf8')));
    const token = answer.token || answer.access_token;
    // Anything else could not be sent as a header.
    if (!token || token.length > LONGEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)) {
      return undefined;
    }
    return { token, lifeMs: (answer.expires_in || UNSAID_SECONDS) * 1_000 };
  } catch {
    return undefined;
  }
}
