import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import { orAborted } from '../../clock.ts';
import { listPurposes, type SpecialPurpose } from './special-addresses.ts';

/**
 * All addresses of a name; none when it does not resolve here (behind a proxy names need not), or not in time. Ends with
 * the reason of the signal.
 */
export type ResolveHost = (hostname: string, signal: AbortSignal) => Promise<readonly string[]>;

/** A resolver asks twice, five seconds each. */
const RESOLVE_TIMEOUT_MS = 12_000;

/** A look-up cannot be ended: it is left behind. */
export function createHostResolver(
  look: (hostname: string) => Promise<readonly { readonly address: string }[]>,
  timeoutMs: number,
): ResolveHost {
  return async (hostname, signal) => {
    const timeUp = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      return (await orAborted(look(hostname), timeUp)).map(({ address }) => address);
    } catch {
      signal.throwIfAborted();
      return [];
    }
  };
}

export const resolveHost = createHostResolver(
  (hostname) => lookup(hostname, { all: true }),
  RESOLVE_TIMEOUT_MS,
);

/**
 * Why a registry that answered from `from` may not send us to `to`, be it for a token or by a redirect;
 * undefined when it may. A malicious registry would otherwise get credentials sent in clear text, or requests
 * into places that only we can reach. Names are resolved once more when connecting: one that changes in
 * between is left to the network policy.
 */
export async function findForwardingProblem(
  from: URL,
  to: URL,
  resolve: (hostname: string) => Promise<readonly string[]>,
): Promise<string | undefined> {
  if (to.protocol !== 'https:' && to.protocol !== 'http:') {
    return 'is no web address';
  }
  if (to.username !== '' || to.password !== '') {
    return 'contains credentials';
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    return 'is not encrypted';
  }
  const purpose = await findForeignPurpose(from.hostname, to.hostname, resolve);
  return purpose && `is ${purpose === 'unspecified' ? 'an' : 'a'} ${purpose} address`;
}

/**
 * Special purpose of `to` that `from` does not have: a registry on this machine may well have its token service here. One
 * that is here with some of its addresses only is not.
 */
async function findForeignPurpose(
  from: string,
  to: string,
  resolve: (hostname: string) => Promise<readonly string[]>,
): Promise<SpecialPurpose | undefined> {
  const target = from === to ? [] : await listPurposesOfHost(to, resolve);
  const special = new Set(target.flatMap((purposes) => [...purposes]));
  const own = special.size === 0 ? [] : await listPurposesOfHost(from, resolve);
  const isOwn = (purpose: SpecialPurpose): boolean =>
    own.length > 0 && own.every((purposes) => purposes.has(purpose));
  return [...special].find((purpose) => purpose === 'metadata service' || !isOwn(purpose));
}

/** For each of its addresses. */
async function listPurposesOfHost(
  hostname: string,
  resolve: (hostname: string) => Promise<readonly string[]>,
): Promise<readonly ReadonlySet<SpecialPurpose>[]> {
  const name = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost')) {
    return [new Set<SpecialPurpose>(['loopback'])];
  }
  const addresses = isIP(name) === 0 ? await resolve(name) : [name];
  return addresses.map((address) => listPurposes(address));
}
