import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** What an address is for, when that is something else here than elsewhere; as it is told. */
export type SpecialPurpose =
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'metadata service'
  | 'multicast'
  | 'broadcast'
  | 'site-local'
  | 'discard-only'
  | 'protocol';

/**
 * Of the ranges that the library knows from the registries of special-purpose addresses,
 * https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry. Private networks are not
 * among them (RFC 1918, `fc00::/7`, and 100.64.0.0/10, from which some clusters take the addresses of pods): registries in
 * a cluster have such addresses.
 */
const KNOWN_RANGES: ReadonlyMap<string, SpecialPurpose> = new Map([
  ['unspecified', 'unspecified'],
  ['loopback', 'loopback'],
  ['linkLocal', 'link-local'],
  ['multicast', 'multicast'],
  ['broadcast', 'broadcast'],
  ['deprecatedSiteLocal', 'site-local'],
  ['discard', 'discard-only'],
]);

/** Inside private and public networks, and each the same in all networks of a cloud. */
const MORE_RANGES: readonly (readonly [purpose: SpecialPurpose, range: string])[] = [
  // Most clouds; its neighbours, which some use as well, are link-local too.
  ['metadata service', '169.254.169.254/32'],
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html; EKS and DNS are beside it.
  ['metadata service', 'fd00:ec2::/32'],
  // https://cloud.google.com/compute/docs/metadata/querying-metadata
  ['metadata service', 'fd20:ce::254/128'],
  // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
  ['metadata service', '168.63.129.16/32'],
  // https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
  ['metadata service', '100.100.100.200/32'],
  ['metadata service', 'fd00:100::100:200/128'],
  // https://docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm, and its predecessor.
  ['metadata service', 'fd00:c1::a9fe:a9fe/128'],
  ['metadata service', '192.0.0.192/32'],
  // https://docs.cloud-init.io/en/latest/reference/datasources/scaleway.html
  ['metadata service', 'fd00:42::42/128'],
  // https://techdocs.akamai.com/cloud-computing/docs/metadata-service-api
  ['metadata service', 'fd00:a9fe:a9fe::1/128'],
  // RFC 6890: between a host and its network.
  ['protocol', '192.0.0.0/24'],
];
const PARSED_RANGES = MORE_RANGES.map(([purpose, range]) => ({ purpose, cidr: ipaddr.parseCIDR(range) }));

/** Purposes of an address, and of the IPv4 addresses that it stands for; none for an ordinary one. */
export function listPurposes(text: string): ReadonlySet<SpecialPurpose> {
  const purposes = new Set<SpecialPurpose>();
  if (isIP(text) === 0) {
    return purposes;
  }
  const address = ipaddr.parse(text);
  for (const meant of [address, ...listEmbedded(address)]) {
    const known = KNOWN_RANGES.get(meant.range());
    if (known) {
      purposes.add(known);
    }
    for (const { purpose, cidr } of PARSED_RANGES) {
      if (cidr[0].kind() === meant.kind() && meant.match(cidr)) {
        purposes.add(purpose);
      }
    }
  }
  return purposes;
}

const LAST = [12, 13, 14, 15] as const;
type ReadAt = (...positions: readonly number[]) => ipaddr.IPv4;

/** Where the bytes of the IPv4 addresses are in which packets end, by rules that hold everywhere. */
const EMBEDDED: ReadonlyMap<string, (at: ReadAt, bytes: readonly number[]) => readonly ipaddr.IPv4[]> =
  new Map([
    ['ipv4Mapped', (at) => [at(...LAST)]],
    ['rfc6145', (at) => [at(...LAST)]],
    ['rfc6052', (at, bytes) => (bytes[5] === 1 ? listLocallyTranslated(at, bytes) : [at(...LAST)])],
    ['6to4', (at) => [at(2, 3, 4, 5)]],
    // A relay, and who is behind it.
    ['teredo', (at) => [at(4, 5, 6, 7), new ipaddr.IPv4(at(...LAST).octets.map((octet) => 255 - octet))]],
    // Deprecated, and still understood in places (RFC 4291, 2.5.5.1).
    ['unicast', (at, bytes) => (isZero(bytes.slice(0, 12)) ? [at(...LAST)] : [])],
  ]);

function listEmbedded(address: Address): readonly ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  const at: ReadAt = (...positions) => new ipaddr.IPv4(positions.map((position) => bytes[position] ?? 0));
  return address.kind() === 'ipv6' ? (EMBEDDED.get(address.range())?.(at, bytes) ?? []) : [];
}

/**
 * How long the prefix of a network's own translator is, nobody tells (RFC 8215). What follows the IPv4 address is zero, and
 * so is the ninth byte (RFC 6052, 2.2).
 */
function listLocallyTranslated(at: ReadAt, bytes: readonly number[]): readonly ipaddr.IPv4[] {
  const places = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], LAST] as const;
  return places.filter((place) => isZero(bytes.slice(place[3] + 1))).map((place) => at(...place));
}

function isZero(bytes: readonly number[]): boolean {
  return bytes.every((byte) => byte === 0);
}
