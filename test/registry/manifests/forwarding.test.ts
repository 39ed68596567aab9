import { expect, it } from 'vitest';

import { findForwardingProblem, resolveHost } from '../../../src/registry/manifests/forwarding.ts';

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'a.io': ['203.0.113.1'],
  'auth.a.io': ['203.0.113.2', '2001:db8::2'],
  'lan.a.io': ['10.0.0.1'],
  'rebound.io': ['203.0.113.3', '127.0.0.1'],
  'mapped.io': ['::ffff:169.254.169.254'],
  'inside.io': ['127.0.0.1'],
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
  ['https://a.io', 'https://[fd00:ec2::254]/token', 'is a link-local address'],
  ['https://a.io', 'https://0.0.0.0/token', 'is an unspecified address'],
  ['http://127.0.0.1:5000', 'http://169.254.169.254/', 'is a link-local address'],
  ['https://a.io', 'file:///etc/passwd', 'is no web address'],
  ['https://a.io', 'https://user:pass@auth.a.io/', 'contains credentials'],
])('a registry at %s may not send us to %s', async (from, to, problem) => {
  expect(await judge(from, to)).toBe(problem);
});

it('resolves names, and takes none for what does not resolve', async () => {
  expect(await resolveHost('127.0.0.1')).toEqual(['127.0.0.1']);
  expect(await resolveHost('no-such-host.invalid')).toEqual([]);
});
