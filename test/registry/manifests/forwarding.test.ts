import { expect, it } from 'vitest';

import {
  createHostResolver,
  findForwardingProblem,
  resolveHost,
} from '../../../src/registry/manifests/forwarding.ts';

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'a.io': ['203.0.113.1'],
  'auth.a.io': ['203.0.113.2', '2001:db8::2'],
  'lan.a.io': ['10.0.0.1'],
  'rebound.io': ['203.0.113.3', '127.0.0.1'],
  'mapped.io': ['::ffff:169.254.169.254'],
  'inside.io': ['127.0.0.1'],
  'half-inside.io': ['203.0.113.4', '169.254.1.1'],
  'nat64.io': ['64:ff9b::203.0.113.5'],
  'local-nat64.io': ['64:ff9b:1:2:3:4:203.0.113.5'],
  'nat64-inside.io': ['64:ff9b::127.0.0.1'],
  'cluster.local': ['fd12:3456::5', '100.64.0.7'],
};

function judge(from: string, to: string): Promise<string | undefined> {
  return findForwardingProblem(new URL(from), new URL(to), async (name) => NAMES[name] ?? []);
}

it.each([
  ['https://a.io', 'https://auth.a.io/token'],
  ['https://a.io', 'https://a.io:8443/token'],
  ['https://a.io', 'https://lan.a.io/token'],
  ['https://a.io', 'https://10.1.2.3/token'],
  ['https://a.io', 'https://does-not-resolve.io/token'],
  ['http://a.io', 'http://auth.a.io/token'],
  ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/token'],
  ['http://127.0.0.1:5000', 'http://localhost:5001/token'],
  ['https://inside.io', 'https://127.0.0.9/token'],
  ['http://[::1]:5000', 'http://[::1]:5001/token'],
  ['https://a.io', 'https://nat64.io/token'],
  ['https://a.io', 'https://local-nat64.io/token'],
  ['https://a.io', 'https://cluster.local/token'],
  ['https://a.io', 'https://[fd12:3456::5]/token'],
  ['https://a.io', 'https://100.64.0.7/token'],
  ['https://169.254.7.7', 'https://169.254.7.8/token'],
])('a registry at %s may send us to %s', async (from, to) => {
  expect(await judge(from, to)).toBeUndefined();
});

it.each([
  ['https://a.io', 'http://auth.a.io/token', 'is not encrypted'],
  ['https://a.io', 'http://a.io/token', 'is not encrypted'],
  ['http://a.io', 'http://127.0.0.1:9/token', 'is a loopback address'],
  ['http://a.io', 'http://2130706433/token', 'is a loopback address'],
  ['http://a.io', 'http://0x7f.1/token', 'is a loopback address'],
  ['https://a.io', 'https://localhost/token', 'is a loopback address'],
  ['https://a.io', 'https://x.localhost./token', 'is a loopback address'],
  ['https://a.io', 'https://[::1]/token', 'is a loopback address'],
  ['https://a.io', 'https://[::ffff:127.0.0.1]/token', 'is a loopback address'],
  ['https://a.io', 'https://rebound.io/token', 'is a loopback address'],
  ['http://a.io', 'http://169.254.169.254/latest/meta-data', 'is a link-local address'],
  ['https://a.io', 'https://mapped.io/token', 'is a link-local address'],
  ['https://a.io', 'https://[fe80::1]/token', 'is a link-local address'],
  ['https://a.io', 'https://0.0.0.0/token', 'is an unspecified address'],
  ['http://127.0.0.1:5000', 'http://169.254.169.254/', 'is a link-local address'],
  ['https://a.io', 'file:///etc/passwd', 'is no web address'],
  ['https://a.io', 'https://user:pass@auth.a.io/', 'contains credentials'],
])('a registry at %s may not send us to %s', { tags: 'attack-registry' }, async (from, to, problem) => {
  expect(await judge(from, to)).toBe(problem);
});

it.each([
  ['169.254.169.254.', 'link-local'],
  ['100.100.100.200', 'metadata service'],
  ['168.63.129.16', 'metadata service'],
  ['192.0.0.192', 'metadata service'],
  ['[fd00:ec2::254]', 'metadata service'],
  ['[fd00:ec2::23]', 'metadata service'],
  ['[fd20:ce::254]', 'metadata service'],
  ['[fd00:c1::a9fe:a9fe]', 'metadata service'],
  ['[fd00:42::42]', 'metadata service'],
  ['[fd00:a9fe:a9fe::1]', 'metadata service'],
  ['[fd00:100::100:200]', 'metadata service'],
  ['192.0.0.8', 'protocol'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.250', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['[ff02::1]', 'multicast'],
  ['[fec0::1]', 'site-local'],
  ['[100::1]', 'discard-only'],
  ['[::ffff:169.254.169.254]', 'link-local'],
  ['[::127.0.0.1]', 'loopback'],
  ['[::169.254.169.254]', 'link-local'],
  ['[::ffff:0:127.0.0.1]', 'loopback'],
  ['[64:ff9b::127.0.0.1]', 'loopback'],
  ['[64:ff9b::168.63.129.16]', 'metadata service'],
  ['[64:ff9b:1::169.254.169.254]', 'link-local'],
  ['[64:ff9b:1:a9fe:a9:fe00::]', 'link-local'],
  ['[64:ff9b:1:a9:fe:a9fe::]', 'link-local'],
  ['[64:ff9b:1:0:a9:fea9:fe00:0]', 'link-local'],
  ['[2002:7f00:1::]', 'loopback'],
  ['[2002:a9fe:a9fe::1]', 'link-local'],
  ['[2001:0:cb00:7101::80ff:fffe]', 'loopback'],
  ['[2001:0:a9fe:a9fe::34ff:8efe]', 'link-local'],
  ['nat64-inside.io', 'loopback'],
  ['half-inside.io', 'link-local'],
])('a registry may not send us to %s', { tags: 'attack-registry' }, async (host, purpose) => {
  expect(await judge('https://a.io', `https://${host}/`)).toBe(`is a ${purpose} address`);
});

it.each([
  ['https://half-inside.io', 'https://169.254.1.2/', 'is a link-local address'],
  ['https://169.254.7.7', 'https://169.254.169.254/', 'is a metadata service address'],
  ['https://192.0.0.192', 'https://168.63.129.16/', 'is a metadata service address'],
])(
  'being special itself, in part or whole, does not help a registry at %s to send us to %s',
  { tags: 'attack-registry' },
  async (from, to, problem) => {
    expect(await judge(from, to)).toBe(problem);
  },
);

it('waits no longer for a name than it may', { tags: 'attack-registry' }, async () => {
  const silent = (): Promise<never> => new Promise(() => {});
  const never = new AbortController().signal;
  expect(await createHostResolver(silent, 1)('slow.io', never)).toEqual([]);
  const stopped = AbortSignal.abort(new Error('lease lost'));
  await expect(createHostResolver(silent, 60_000)('slow.io', stopped)).rejects.toThrow('lease lost');
});

it('resolves names, and takes none for what does not resolve', async () => {
  const { signal } = new AbortController();
  expect(await resolveHost('127.0.0.1', signal)).toEqual(['127.0.0.1']);
  expect(await resolveHost('no-such-host.invalid', signal)).toEqual([]);
});
