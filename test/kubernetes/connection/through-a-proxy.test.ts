import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { createConnection } from '../../../src/kubernetes/connection/connection.ts';
import { type ScriptedApiServer, startApiServer } from '../scripted-api-server.ts';
import { createSelfSigned } from '../self-signed.ts';

/** A name that nothing but the proxy can make sense of. */
const SERVER = 'https://api.cluster.invalid:6443';

let folder: string;
let server: ScriptedApiServer;
let tunnels: string[];
let proxy: { readonly url: string; close(): void };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'proxy-'));
  server = await startApiServer((request, response) => {
    response.end(request.query['watch'] ? '{"type":"BOOKMARK"}\n' : '{"minor":"37"}');
  }, createSelfSigned('api'));
  tunnels = [];
  proxy = await startTunnel();
});

afterEach(async () => {
  proxy.close();
  await server.close();
  await rm(folder, { recursive: true });
});

/** Leads every tunnel to the scripted server, whatever was asked for. */
async function startTunnel(): Promise<typeof proxy> {
  const tunnel = createServer((_, response) => response.writeHead(405).end());
  tunnel.on('connect', (request, socket) => {
    tunnels.push(request.url ?? '');
    const onward = connect(Number(server.url.port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => {
    tunnel.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(tunnel.address() as AddressInfo).port}`;
  return { url, close: () => tunnel.close() };
}

async function writeKubeconfig(): Promise<string> {
  const file = join(folder, 'config');
  const config = {
    clusters: [{ name: 'c', cluster: { server: SERVER, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}

it('requests and watches go through the proxy of the environment', async () => {
  const environment = { HTTPS_PROXY: proxy.url, NO_PROXY: '10.0.0.0/8' };
  const kubeconfigPath = await writeKubeconfig();
  const connection = await createConnection({ kubeconfigPath, environment, userAgent: 'test/1' });
  await expect(connection.request({ method: 'GET', path: '/version' })).resolves.toEqual({ minor: '37' });
  const watched = await connection.watch({ path: '/api/v1/pods', read: (document) => document }).next();
  expect(watched.value).toEqual({ type: 'BOOKMARK' });
  expect(tunnels).toEqual(['api.cluster.invalid:6443', 'api.cluster.invalid:6443']);
  connection.close();
});

it('a server that NO_PROXY names is asked directly', async () => {
  const environment = { HTTPS_PROXY: proxy.url, NO_PROXY: '.cluster.invalid' };
  const kubeconfigPath = await writeKubeconfig();
  const connection = await createConnection({ kubeconfigPath, environment, userAgent: 'test/1' });
  const asked = connection.request({ method: 'GET', path: '/version' });
  await expect(asked).rejects.toMatchObject({ status: 0, reason: 'Unreachable' });
  expect(tunnels).toEqual([]);
  connection.close();
});
