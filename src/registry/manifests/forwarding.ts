import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** All addresses of a name; none when it does not resolve here (behind a proxy names need not). */
export type ResolveHost = (hostname: string) => Promise<readonly string[]>;

export const resolveHost: ResolveHost = async (hostname) => {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
};

/**
 * Addresses that mean something else inside this machine or cloud than outside: a registry must not send us
 * there.
 */
const LOCAL_RANGES = {
  loopback: createRange((list) => {
    list.addSubnet('127.0.0.0', 8, 'ipv4');
    list.addAddress('::1', 'ipv6');
  }),
  'link-local': createRange((list) => {
    list.addSubnet('169.254.0.0', 16, 'ipv4');
    list.addSubnet('fe80::', 10, 'ipv6');
    // The metadata service of one cloud.
    list.addAddress('fd00:ec2::254', 'ipv6');
  }),
  unspecified: createRange((list) => {
    list.addSubnet('0.0.0.0', 8, 'ipv4');
    list.addAddress('::', 'ipv6');
  }),
};

type LocalRange = keyof typeof LOCAL_RANGES;

/**
 * Why a registry that answered from `from` may not send us to `to`, be it for a token or by a redirect;
 * undefined when it may. A malicious registry would otherwise get credentials sent in clear text, or requests
 * into places that only we can reach. Names are resolved once more when connecting: one that changes in
 * between is left to the network policy.
 */
export async function findForwardingProblem(
  from: URL,
  to: URL,
  resolve: ResolveHost,
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
  const foreign = await findForeignRange(from.hostname, to.hostname, resolve);
  return foreign && `is ${foreign === 'unspecified' ? 'an' : 'a'} ${foreign} address`;
}

/** Range that `to` is in and `from` is not: a registry on this machine may well have its token service here. */
async function findForeignRange(
  from: string,
  to: string,
  resolve: ResolveHost,
): Promise<LocalRange | undefined> {
  const ranges = from === to ? [] : await findLocalRanges(to, resolve);
  const own = ranges.length === 0 ? [] : await findLocalRanges(from, resolve);
  return ranges.find((range) => !own.includes(range));
}

async function findLocalRanges(hostname: string, resolve: ResolveHost): Promise<readonly LocalRange[]> {
  const name = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost')) {
    return ['loopback'];
  }
  const addresses = isIP(name) === 0 ? await resolve(name) : [name];
  const ranges = Object.keys(LOCAL_RANGES) as LocalRange[];
  return ranges.filter((range) => addresses.some((address) => isIn(range, address)));
}

function isIn(range: LocalRange, address: string): boolean {
  return LOCAL_RANGES[range].check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function createRange(fill: (list: BlockList) => void): BlockList {
  const list = new BlockList();
  fill(list);
  return list;
}
