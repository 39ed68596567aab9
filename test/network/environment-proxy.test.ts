import { expect, it } from 'vitest';

import { UsageError } from '../../src/errors.ts';
import { findEnvironmentProxy } from '../../src/network/environment-proxy.ts';

const PROXY = 'http://proxy.example:3128';

it.each([
  ['https://10.96.0.1', '', PROXY],
  ['https://10.96.0.1', '10.96.0.0/12', undefined],
  ['https://10.112.0.1', '10.96.0.0/12', PROXY],
  ['https://10.96.0.1', 'localhost, 10.96.0.1', undefined],
  ['https://[fd00::1]:6443', 'fd00::/8', undefined],
  ['https://[fd00::1]:6443', 'fd00::1', undefined],
  ['https://[fd00::1]:6443', '[fd00::1]:6443', undefined],
  ['https://api.example.com:6443', '.example.com', undefined],
  ['https://api.example.com:6443', 'example.com', undefined],
  ['https://api.example.com:6443', '*.example.com', undefined],
  ['https://example.com', '.example.com', PROXY],
  ['https://example.com', 'example.com', undefined],
  ['https://API.example.com', 'api.EXAMPLE.com', undefined],
  ['https://notexample.com', 'example.com', PROXY],
  ['https://api.example.com:6443', 'api.example.com:443', PROXY],
  ['https://api.example.com:6443', 'api.example.com:6443', undefined],
  ['https://api.example.com', 'api.example.com:443', undefined],
  ['https://api.example.com', '*', undefined],
  ['https://api.example.com', 'a.example api.example.com\tb.example', undefined],
  ['https://[2001:db8::1]', '2001:0DB8:0:0:0:0:0:1', undefined],
  ['https://api.example.com', '10.0.0.0/99, /, 1.2.3.4/', PROXY],
  ['https://127.0.0.1:6443', '', undefined],
  ['https://localhost:6443', '', undefined],
  ['http://api.example.com', '', undefined],
])('%s with NO_PROXY=%j goes through %s', (server, exceptions, expected) => {
  const environment = { HTTPS_PROXY: PROXY, NO_PROXY: exceptions };
  expect(findEnvironmentProxy(new URL(server), environment)).toBe(expected && `${expected}/`);
});

it('is found under lower-case names too', () => {
  const environment = { https_proxy: PROXY };
  expect(findEnvironmentProxy(new URL('https://api.example.com'), environment)).toBe(`${PROXY}/`);
});

it('needs no scheme', () => {
  const environment = { HTTP_PROXY: 'me:pass@proxy.example:3128' };
  expect(findEnvironmentProxy(new URL('http://b.io'), environment)).toBe(
    'http://me:pass@proxy.example:3128/',
  );
});

it.each(['socks5://proxy.example', 'http://', 'proxy example', 'http://proxy:99999'])(
  'is refused when it is no proxy: %s',
  (proxy) => {
    const find = (): unknown => findEnvironmentProxy(new URL('https://b.io'), { HTTPS_PROXY: proxy });
    expect(find).toThrow(UsageError);
    expect(find).toThrow(/^HTTPS_PROXY is no proxy that can be used/);
  },
);
