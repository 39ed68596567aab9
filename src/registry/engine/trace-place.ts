import type { RegistrySide } from '../../errors.ts';
import type { CopyJob } from '../../reconcile/ports.ts';
import { toApiHost } from '../registry-address.ts';
import type { TracedRequest } from './trace-line.ts';

/** On whose behalf a request was sent, and to whom. */
export interface RequestPlace {
  readonly side: RegistrySide;
  /** A registry, its token service, or someone it redirected to. */
  readonly place: 'registry' | 'token' | 'elsewhere';
}

/** @param realms token services seen so far (host and path), with the side that named them last. */
export function locateRequest(
  request: TracedRequest,
  job: CopyJob,
  realms: ReadonlyMap<string, RegistrySide>,
): RequestPlace {
  const { url, method } = request;
  const namedBy = realms.get(`${url.host}${url.pathname}`);
  if (namedBy) {
    return { side: findScopedSide(url, job) ?? namedBy, place: 'token' };
  }
  const side = findRegistrySide(request, job);
  return side ? { side, place: 'registry' } : { side: guessSide(method), place: 'elsewhere' };
}

/** True for the request that gives the copy its tag. */
export function isTagWrite({ method, url }: TracedRequest, { copy }: CopyJob): boolean {
  const path = `/v2/${copy.repository}/manifests/${copy.tag}`;
  return method === 'PUT' && isAt(url, copy.host) && url.pathname === path;
}

/** Whose registry a request went to; when both sides share one, the repository tells. */
function findRegistrySide(
  { url, method }: TracedRequest,
  { source, copy }: CopyJob,
): RegistrySide | undefined {
  const atSource = isAt(url, source.host);
  const atBackup = isAt(url, copy.host);
  if (atSource !== atBackup) {
    return atSource ? 'source' : 'backup';
  }
  if (!atSource) {
    return undefined;
  }
  const inSource = url.pathname.startsWith(`/v2/${source.repository}/`);
  const inBackup = url.pathname.startsWith(`/v2/${copy.repository}/`);
  return pickSide(inSource, inBackup) ?? guessSide(method);
}

/** A token service may serve both registries: the scope names the repository. */
function findScopedSide(url: URL, { source, copy }: CopyJob): RegistrySide | undefined {
  const scopes = url.searchParams.getAll('scope').join(' ');
  const forSource = scopes.includes(`repository:${source.repository}:`);
  const forBackup = scopes.includes(`repository:${copy.repository}:`);
  return pickSide(forSource, forBackup);
}

function pickSide(isSource: boolean, isBackup: boolean): RegistrySide | undefined {
  if (isSource === isBackup) {
    return undefined;
  }
  return isSource ? 'source' : 'backup';
}

/** In storage behind a registry, for instance, reading is done for the source and writing for the backup. */
function guessSide(method: string): RegistrySide {
  return method === 'GET' || method === 'HEAD' ? 'source' : 'backup';
}

function isAt(url: URL, host: string): boolean {
  return url.host === URL.parse(`${url.protocol}//${toApiHost(host)}`)?.host;
}
