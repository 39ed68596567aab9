import { RegistryError } from '../../errors.ts';
import type { Access, RegistryDeps } from './access.ts';
import type { Authorizer } from './authorizer.ts';
import { findForwardingProblem, type ResolveHost } from './forwarding.ts';
import type { HttpAnswer, HttpRequest } from './http-client.ts';
import { MANIFEST_KINDS } from './media-types.ts';
import { toSecretFree } from '../secret-free.ts';
import { toTransportError } from './transport-failure.ts';

export interface Manifest {
  /** As the registry calls it; empty when it does not say. */
  readonly mediaType: string;
  readonly body: Buffer;
}

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_REDIRECTS = 5;
/** Shorter ones guard nothing, and a registry could choose what no message is readable without: a letter, say. */
const SHORTEST_HIDDEN_TOKEN = 8;

export interface RegistryRequest {
  readonly method: 'HEAD' | 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly access: Access;
  readonly url: URL;
  /** Media types; those of manifests by default. */
  readonly accept?: string;
  /** Of an answer; those of a manifest by default, and never more. */
  readonly mostBytes?: number;
  /** To be written. */
  readonly manifest?: Manifest;
}

const MANIFESTS = [...MANIFEST_KINDS.keys()].join(', ');

/** Only who reads is sent elsewhere. */
const FOLLOWING: ReadonlySet<RegistryRequest['method']> = new Set(['HEAD', 'GET']);

/**
 * Asks with the authorization of last time if there is one, and once more when the registry wants another.
 *
 * @throws {RegistryError} when no answer comes, or one that must not be acted upon; without any secret that was shown.
 */
export async function sendRegistryRequest(
  request: RegistryRequest,
  deps: RegistryDeps,
  authorizer: Authorizer,
): Promise<HttpAnswer> {
  try {
    return await sendAuthorized(request, deps, authorizer);
  } catch (error) {
    throw toSecretFree(error, request.access.shown);
  }
}

async function sendAuthorized(
  request: RegistryRequest,
  deps: RegistryDeps,
  authorizer: Authorizer,
): Promise<HttpAnswer> {
  const { access } = request;
  const { answer, url } = await sendFollowing(request, authorizer.recall(access), deps);
  if (answer.status !== 401) {
    return answer;
  }
  const isOwn = url.origin === access.origin.origin;
  // Whoever we were redirected to may give out anonymous tokens, but does not get to see the registry's credential.
  const asker: Access = isOwn ? access : { ...access, origin: new URL(url.origin), credential: undefined };
  const authorization = await authorizer.meet(asker, answer.headers['www-authenticate']);
  const again = { ...request, access: asker, url: isOwn ? request.url : url };
  return (await sendFollowing(again, authorization, deps)).answer;
}

/**
 * Some registries redirect readers to a mirror near by. The authorization goes to the registry itself and
 * nobody else.
 */
async function sendFollowing(
  request: RegistryRequest,
  authorization: string | undefined,
  deps: RegistryDeps,
): Promise<{ readonly answer: HttpAnswer; readonly url: URL }> {
  const { access, method } = request;
  let { url } = request;
  for (let redirects = 0; ; redirects += 1) {
    const isOwn = url.origin === access.origin.origin;
    noteShown(access, isOwn ? authorization : undefined);
    const answer = await send({ ...request, url }, isOwn ? authorization : undefined, deps);
    const { location } = answer.headers;
    if (answer.status < 300 || answer.status > 399 || location === undefined || !FOLLOWING.has(method)) {
      return { answer, url };
    }
    url = await findRedirect(
      { ...request, url },
      redirects < MAX_REDIRECTS ? location : '',
      deps.resolveHost,
    );
  }
}

/** A credential is known to have been shown from the beginning, at any length. */
function noteShown({ shown }: Access, authorization = ''): void {
  const sent = authorization.replace(/^\S+ /, '');
  if (sent.length >= SHORTEST_HIDDEN_TOKEN) {
    shown.add(sent);
  }
}

async function findRedirect(
  { access, url }: RegistryRequest,
  location: string,
  resolveHost: ResolveHost,
): Promise<URL> {
  const next = location === '' ? null : URL.parse(location, url);
  const resolve = (name: string): Promise<readonly string[]> => resolveHost(name, access.signal);
  const problem = next ? await findForwardingProblem(url, next, resolve) : 'leads nowhere';
  if (!next || problem !== undefined) {
    const message = `${access.doing}: ${access.side} registry ${url.host} redirects to an address that ${problem}`;
    throw new RegistryError(message, { reason: 'Unauthorized', side: access.side });
  }
  return next;
}

async function send(
  { method, url, access, accept = MANIFESTS, mostBytes = MAX_MANIFEST_BYTES, manifest }: RegistryRequest,
  authorization: string | undefined,
  { http, silences }: RegistryDeps,
): Promise<HttpAnswer> {
  const request: HttpRequest = {
    method,
    url,
    headers: {
      accept,
      'user-agent': 'backup-image-registry',
      ...(authorization !== undefined && { authorization }),
      ...(manifest && { 'content-type': manifest.mediaType, 'content-length': String(manifest.body.length) }),
    },
    ...(manifest && { body: manifest.body }),
    signal: access.signal,
    maxBodyBytes: Math.min(mostBytes, MAX_MANIFEST_BYTES),
  };
  // What the registry sends us to is not its own: it could name a slow page of another one.
  const isOwn = url.origin === access.origin.origin;
  const ask = (): Promise<HttpAnswer> => http.send(request);
  try {
    return await (isOwn ? silences.ask(url.host, access, ask) : ask());
  } catch (error) {
    throw toTransportError(error, { ...access, host: url.host });
  }
}
