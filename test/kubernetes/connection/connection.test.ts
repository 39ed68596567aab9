import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { UsageError } from '../../../src/errors.ts';
import type { Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { type ConnectionOptions, createConnection } from '../../../src/kubernetes/connection/connection.ts';
import { createSelfSigned } from '../self-signed.ts';
import { type ScriptedApiServer, answerJson, answerStatus, startApiServer } from '../scripted-api-server.ts';

let folder: string;
let servers: ScriptedApiServer[];
let connections: Connection[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'connection-'));
  servers = [];
  connections = [];
});

afterEach(async () => {
  for (const connection of connections) {
    connection.close();
  }
  await Promise.all(servers.map((server) => server.close()));
  await rm(folder, { recursive: true });
});

async function start(...parameters: Parameters<typeof startApiServer>): Promise<ScriptedApiServer> {
  const server = await startApiServer(...parameters);
  servers.push(server);
  return server;
}

async function connect(options: Omit<ConnectionOptions, 'userAgent'>): Promise<Connection> {
  const connection = await createConnection({ userAgent: 'test/1', ...options });
  connections.push(connection);
  return connection;
}

describe('in a cluster', () => {
  const GET = { method: 'GET', path: '/version' } as const;

  async function writeAccount(files: { readonly token?: string; readonly ca?: string }): Promise<void> {
    await Promise.all([
      ...(files.token === undefined ? [] : [writeFile(join(folder, 'token'), files.token)]),
      ...(files.ca === undefined ? [] : [writeFile(join(folder, 'ca.crt'), files.ca)]),
    ]);
  }

  function inCluster(server: ScriptedApiServer, parts: Partial<ConnectionOptions> = {}): Promise<Connection> {
    return connect({
      environment: { KUBERNETES_SERVICE_HOST: server.url.hostname, KUBERNETES_SERVICE_PORT: server.url.port },
      serviceAccountFolder: folder,
      ...parts,
    });
  }

  it('uses the files of the service account', async () => {
    const tls = createSelfSigned('one');
    const server = await start((_, response) => answerJson(response, { minor: '37' }), tls);
    await writeAccount({ token: 'secret\n', ca: tls.cert });
    await writeFile(join(folder, 'namespace'), 'ours\n');
    const connection = await inCluster(server);
    await expect(connection.request(GET)).resolves.toEqual({ minor: '37' });
    expect(connection.namespace).toBe('ours');
    expect(server.requests[0]?.headers.authorization).toBe('Bearer secret');
  });

  it('does not talk to a server with another certificate', async () => {
    const server = await start((_, response) => answerJson(response, {}), createSelfSigned('one'));
    await writeAccount({ token: 'secret', ca: createSelfSigned('two').cert });
    const connection = await inCluster(server);
    await expect(connection.request(GET)).rejects.toMatchObject({ status: 0, reason: 'Unreachable' });
    expect(server.requests).toEqual([]);
  });

  it('reads the token again once it is older than a minute', async () => {
    const tls = createSelfSigned('one');
    const server = await start((_, response) => answerJson(response, {}), tls);
    await writeAccount({ token: 'old', ca: tls.cert });
    let monotonicMs = 0;
    const connection = await inCluster(server, { clock: { nowMs: () => 0, monotonicMs: () => monotonicMs } });
    await writeAccount({ token: 'new' });
    for (const atMs of [60_000, 60_001]) {
      monotonicMs = atMs;
      await connection.request(GET);
    }
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new']);
  });

  it('reads the token again when it is refused', async () => {
    const tls = createSelfSigned('one');
    const server = await start(({ headers }, response) => {
      answerStatus(response, headers.authorization === 'Bearer new' ? 200 : 401);
    }, tls);
    await writeAccount({ token: 'old', ca: tls.cert });
    const connection = await inCluster(server);
    await writeAccount({ token: 'new' });
    await expect(connection.request(GET)).resolves.toMatchObject({ code: 200 });
  });

  it('keeps the last good token while the files cannot be read', async () => {
    const tls = createSelfSigned('one');
    const server = await start((_, response) => answerStatus(response, 401), tls);
    await writeAccount({ token: 'old', ca: tls.cert });
    const connection = await inCluster(server);
    await rm(join(folder, 'token'));
    await expect(connection.request(GET)).rejects.toMatchObject({ status: 401 });
  });

  it('trusts a renewed certificate authority without a restart', async () => {
    const [before, after] = [createSelfSigned('before'), createSelfSigned('after')];
    const first = await start((_, response) => answerJson(response, {}), before);
    await writeAccount({ token: 't', ca: before.cert });
    let monotonicMs = 0;
    const connection = await inCluster(first, { clock: { nowMs: () => 0, monotonicMs: () => monotonicMs } });
    await connection.request(GET);
    await first.close();
    const second = await startApiServer((_, response) => answerJson(response, { renewed: true }), {
      ...after,
      port: Number(first.url.port),
    });
    servers = [second];
    await expect(connection.request(GET)).rejects.toMatchObject({ status: 0 });
    await writeAccount({ ca: after.cert });
    monotonicMs = 61_000;
    await expect(connection.request(GET)).resolves.toEqual({ renewed: true });
  });

  it('says what is missing when the files are not there', async () => {
    const failing = connect({
      environment: { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
      serviceAccountFolder: join(folder, 'none'),
    });
    await expect(failing).rejects.toThrow(UsageError);
    await expect(failing).rejects.toThrow(/service account files in .*none cannot be read/u);
  });

  it.each([
    [{ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, 'https://10.0.0.1/'],
    [{ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, 'https://[fd00::1]:6443/'],
  ])('finds the server of %j', async (environment, expected) => {
    await writeAccount({ token: 't', ca: '' });
    const connection = await connect({ environment, serviceAccountFolder: folder });
    expect(connection.server).toBe(expected);
    expect(connection.namespace).toBeUndefined();
  });
});

describe('with a kubeconfig', () => {
  async function writeKubeconfig(name: string, server: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(
      path,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server } }],
        users: [{ name: 'u', user: { token: 'from-kubeconfig' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: `ns-${name}` } }],
        'current-context': 'x',
      }),
    );
    return path;
  }

  it('uses server, identity and namespace of the current context', async () => {
    const server = await start((_, response) => answerJson(response, { fine: true }));
    const kubeconfigPath = await writeKubeconfig('mine', server.url.href);
    const connection = await connect({ kubeconfigPath, environment: {} });
    await expect(connection.request({ method: 'GET', path: '/version' })).resolves.toEqual({ fine: true });
    expect(connection.namespace).toBe('ns-mine');
    expect(server.requests[0]?.headers.authorization).toBe('Bearer from-kubeconfig');
  });

  it('reads the file again when its token is refused', async () => {
    const server = await start(({ headers }, response) => {
      answerStatus(response, headers.authorization === 'Bearer renewed' ? 200 : 401);
    });
    const kubeconfigPath = await writeKubeconfig('mine', server.url.href);
    const connection = await connect({ kubeconfigPath, environment: {} });
    await writeFile(
      kubeconfigPath,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: server.url.href } }],
        users: [{ name: 'u', user: { token: 'renewed' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    await expect(connection.request({ method: 'GET', path: '/version' })).resolves.toMatchObject({
      code: 200,
    });
  });

  it('takes the token from a file that it names, and reads that again when the token is refused', async () => {
    const server = await start(({ headers }, response) => {
      answerStatus(response, headers.authorization === 'Bearer renewed' ? 200 : 401);
    });
    const kubeconfigPath = join(folder, 'with-a-token-file');
    await writeFile(
      kubeconfigPath,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: server.url.href } }],
        users: [{ name: 'u', user: { tokenFile: 'token' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    await writeFile(join(folder, 'token'), 'first\n');
    const connection = await connect({ kubeconfigPath, environment: {} });
    await writeFile(join(folder, 'token'), 'renewed\n');
    await connection.request({ method: 'GET', path: '/version' });
    const tokens = server.requests.map(({ headers }) => headers.authorization);
    expect(tokens).toEqual(['Bearer first', 'Bearer renewed']);
  });

  it('prefers the flag, then KUBECONFIG, then the cluster around us, then the file at home', async () => {
    const [flag, variable] = await Promise.all([
      writeKubeconfig('flag', 'https://flag'),
      writeKubeconfig('variable', 'https://variable'),
    ]);
    await Promise.all([writeFile(join(folder, 'token'), 't'), writeFile(join(folder, 'ca.crt'), '')]);
    const environment = {
      KUBECONFIG: `/nowhere:${variable}`,
      KUBERNETES_SERVICE_HOST: 'cluster',
      HOME: folder,
    };
    const found = await Promise.all([
      connect({ kubeconfigPath: flag, environment }),
      connect({ environment }),
      connect({ environment: { ...environment, KUBECONFIG: '' }, serviceAccountFolder: folder }),
    ]);
    expect(found.map(({ server }) => server)).toEqual([
      'https://flag/',
      'https://variable/',
      'https://cluster/',
    ]);
  });

  it.each([
    ['that is not there', undefined, /kubeconfig .* cannot be read \(ENOENT\)/u],
    ['without a context', '{}', /has no usable current context/u],
    ['that is no kubeconfig', 'token: [hunter2', /cannot be read/u],
  ])('refuses a file %s, without quoting it', async (_, text, message) => {
    const kubeconfigPath = join(folder, 'bad');
    if (text !== undefined) {
      await writeFile(kubeconfigPath, text);
    }
    const error: unknown = await connect({ kubeconfigPath, environment: {} }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain('hunter2');
  });

  it('says that there is no configuration when there is none', async () => {
    const failing = connect({ environment: { HOME: folder } });
    await expect(failing).rejects.toThrow(UsageError);
    await expect(failing).rejects.toThrow(/no cluster to talk to/u);
  });
});
