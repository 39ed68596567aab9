import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import {
  createHttpClient,
  type HttpClient,
  type HttpRequest,
} from '../../../src/registry/manifests/http-client.ts';
import { waitFor } from '../../support/wait-for.ts';
import { LOCALHOST_CERTIFICATE } from '../localhost-certificate.ts';
import { startRawServer, SWITCHES } from '../raw-server.ts';
import { startServer } from '../servers.ts';
import { createTemporaryFolder } from '../temporary-folder.ts';

function createClient(options: Partial<Parameters<typeof createHttpClient>[0]> = {}): HttpClient {
  const client = createHttpClient({ environment: {}, timeoutMs: 10_000, ...options });
  onTestFinished(() => client.close());
  return client;
}

function aRequest(origin: string, options: Partial<HttpRequest> = {}): HttpRequest {
  const { signal } = new AbortController();
  return { method: 'GET', url: new URL('/x', origin), headers: {}, signal, ...options };
}

it('brings back status, headers and body', async () => {
  const server = await startServer(() => ({ status: 201, headers: { 'x-name': 'value' }, body: 'text' }));
  const answer = await createClient().send(aRequest(server.origin, { method: 'PUT', body: 'sent' }));
  expect(answer).toMatchObject({ status: 201, headers: { 'x-name': 'value' } });
  expect(answer.body.toString()).toBe('text');
  expect(server.received).toMatchObject([{ method: 'PUT', path: '/x', body: 'sent' }]);
});

it('uses one connection again', async () => {
  let connections = 0;
  const server = http.createServer((_, outgoing) => outgoing.end());
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createClient();
  await client.send(aRequest(origin));
  await client.send(aRequest(origin));
  expect(connections).toBe(1);
});

it('asks again when the connection it wanted to use again was gone', async () => {
  let first: Socket | undefined;
  const server = http.createServer((incoming, outgoing) => {
    if (first === incoming.socket) {
      first.resetAndDestroy();
      return;
    }
    first ??= incoming.socket;
    outgoing.end('answer');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createClient();
  await client.send(aRequest(origin));
  expect((await client.send(aRequest(origin))).body.toString()).toBe('answer');
});

it('gives up on a server that does not answer', { tags: 'attack-registry' }, async () => {
  const server = await startServer(() => undefined);
  const sent = createClient({ timeoutMs: 50 }).send(aRequest(server.origin));
  await expect(sent).rejects.toMatchObject({ kind: 'timeout', message: 'no answer in 50 ms' });
});

it('gives up when it is told to, with the reason it was given', async () => {
  const controller = new AbortController();
  const server = await startServer(() => {
    controller.abort(new Error('lease lost'));
    return undefined;
  });
  const sent = createClient().send(aRequest(server.origin, { signal: controller.signal }));
  await expect(sent).rejects.toThrow('lease lost');
});

it.each(SWITCHES)('brings back %j as an answer like any other', { tags: 'attack-registry' }, async (said) => {
  const server = await startRawServer((socket) => socket.write(said));
  const client = createClient();
  // More than there are connections for one host.
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.send(aRequest(server.origin))));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([101]));
  await waitFor(() => server.open.size === 0, { what: 'the connections to be closed' });
});

it('gives up on a server that announces an answer again and again', { tags: 'attack-registry' }, async () => {
  const server = await startRawServer((socket) =>
    socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1_000)),
  );
  const sent = createClient().send(aRequest(server.origin));
  await expect(sent).rejects.toMatchObject({
    kind: 'unreachable',
    message: 'announced an answer over and over',
  });
});

it.each([
  ['says nothing', ''],
  ['begins a head and never ends it', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ['begins a body and never ends it', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'],
  ['announces an answer that never comes', 'HTTP/1.1 100 Continue\r\n\r\n'],
])('ends by its deadline and its signal when the server %s', { tags: 'attack-registry' }, async (_, said) => {
  const controller = new AbortController();
  const server = await startRawServer((socket) =>
    socket.write(said, () => controller.abort(new Error('lease lost'))),
  );
  const stopped = createClient().send(aRequest(server.origin, { signal: controller.signal }));
  await expect(stopped).rejects.toThrow('lease lost');
  const late = createClient({ timeoutMs: 50 }).send(aRequest(server.origin));
  await expect(late).rejects.toMatchObject({ kind: 'timeout' });
  await waitFor(() => server.open.size === 0, { what: 'the connections to be closed' });
});

it('says that nobody listens', async () => {
  const sent = createClient().send(aRequest('http://127.0.0.1:1'));
  await expect(sent).rejects.toMatchObject({ kind: 'unreachable', message: 'ECONNREFUSED' });
});

it('takes no more than it can hold', { tags: 'attack-registry' }, async () => {
  const server = await startServer(() => ({ status: 200, body: 'x'.repeat(1_001) }));
  const sent = createClient().send(aRequest(server.origin, { maxBodyBytes: 1_000 }));
  await expect(sent).rejects.toMatchObject({ kind: 'tooLarge' });
});

it('cuts the text of a failure', { tags: 'attack-registry' }, async () => {
  const server = await startServer(() => ({ status: 500, body: 'x'.repeat(1_000_000) }));
  const answer = await createClient().send(aRequest(server.origin));
  expect(answer.status).toBe(500);
  expect(answer.body.length).toBe(64 * 1024);
});

it('follows no redirect', async () => {
  const server = await startServer(() => ({ status: 302, headers: { location: '/elsewhere' } }));
  expect(await createClient().send(aRequest(server.origin))).toMatchObject({ status: 302 });
  expect(server.lines()).toEqual(['GET /x']);
});

it('trusts no certificate that nobody vouches for', async () => {
  const server = await startServer(() => ({ status: 200 }), { tls: true });
  const sent = createClient().send(aRequest(server.origin));
  await expect(sent).rejects.toMatchObject({ kind: 'unreachable', message: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

it('trusts the bundle in SSL_CERT_FILE', async () => {
  const path = join(await createTemporaryFolder(), 'ca.pem');
  await writeFile(path, LOCALHOST_CERTIFICATE);
  const server = await startServer(() => ({ status: 200 }), { tls: true });
  const client = createClient({ environment: { SSL_CERT_FILE: path } });
  expect(await client.send(aRequest(server.origin))).toMatchObject({ status: 200 });
});

it('reads the bundle once, and not for every connection', async () => {
  const path = join(await createTemporaryFolder(), 'ca.pem');
  await writeFile(path, LOCALHOST_CERTIFICATE);
  const server = await startServer(() => ({ status: 200 }), { tls: true });
  const client = createClient({ environment: { SSL_CERT_FILE: path } });
  // Node looks for it there whenever it connects without a context.
  const create = vi.spyOn(tls, 'createSecureContext');
  onTestFinished(() => create.mockRestore());
  await Promise.all(Array.from({ length: 4 }, () => client.send(aRequest(server.origin))));
  expect(create).not.toHaveBeenCalled();
});

it('does not start with a bundle that it cannot read', () => {
  expect(() => createClient({ environment: { SSL_CERT_FILE: '/no/such/file' } })).toThrow(
    'SSL_CERT_FILE /no/such/file cannot be read (ENOENT)',
  );
});

it('trusts the files in the folders of SSL_CERT_DIR', async () => {
  const folder = await createTemporaryFolder();
  await writeFile(join(folder, 'ca.pem'), LOCALHOST_CERTIFICATE);
  const server = await startServer(() => ({ status: 200 }), { tls: true });
  const client = createClient({ environment: { SSL_CERT_DIR: folder } });
  expect(await client.send(aRequest(server.origin))).toMatchObject({ status: 200 });
});

describe('a proxy in the environment', () => {
  const viaProxy = 'http://registry.invalid/x';

  it.each(['with', 'without'])('is gone through, written %s a scheme', async (scheme) => {
    const proxy = await startServer(({ path }) => ({ status: 200, body: path }));
    const written = scheme === 'with' ? proxy.origin : proxy.host;
    const client = createClient({ environment: { HTTP_PROXY: written } });
    const answer = await client.send(aRequest('http://registry.invalid'));
    expect(answer.body.toString()).toBe(viaProxy);
  });

  it.each(['0.0.0.0/8', 'other.invalid 0.0.0.0', '*'])(
    'is not used where NO_PROXY=%s',
    async (exceptions) => {
      const proxy = await startServer(() => ({ status: 500 }));
      const server = await startServer(() => ({ status: 200 }));
      const client = createClient({ environment: { HTTP_PROXY: proxy.origin, NO_PROXY: exceptions } });
      // This machine as well, and no loopback address, which no proxy would be asked for.
      const anywhere = server.origin.replace('127.0.0.1', '0.0.0.0');
      expect(await client.send(aRequest(anywhere))).toMatchObject({ status: 200 });
    },
  );

  it('that cannot be one is refused at the start, unquoted', { tags: 'attack-secret' }, () => {
    const create = (): unknown =>
      createClient({ environment: { HTTPS_PROXY: 'socks5://me:s3cret@proxy:1080' } });
    expect(create).toThrow(/HTTPS_PROXY is no proxy that can be used: write http/);
    expect(create).not.toThrow(/s3cret/);
  });
});
