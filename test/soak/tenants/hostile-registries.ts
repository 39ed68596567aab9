/** Registries of the hostile tenant. Each misbehaves in its own way, and knows nothing of registries but that. */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { MEDIA_TYPES } from '../../support/image-builder.ts';
import { ShapedImages, SHAPE_NAMES } from './shaped-images.ts';

const TICK_MS = 50;
const CHUNK_BYTES = 64 * 1024;
const FOREIGN_DIGEST = `sha256:${'f'.repeat(64)}`;

/** Everything on a raw connection, from the moment that a request has come. */
const RAW: Readonly<Record<string, (socket: Socket) => void>> = {
  'is silent': () => undefined,
  upgrades: (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
  'never ends a body': (socket) => {
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Type: ${MEDIA_TYPES.ociIndex}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `${CHUNK_BYTES.toString(16)}\r\n${' '.repeat(CHUNK_BYTES)}\r\n`;
    repeat(socket, () => socket.write(chunk));
  },
  'trickles headers': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    let count = 0;
    repeat(socket, () => {
      count += 1;
      socket.write(`X-${count}: 1\r\n`);
    });
  },
  'speaks no HTTP': (socket) => socket.end(`SSH-2.0-OpenSSH\r\n${'\u0000\u001b['.repeat(100)}`),
  'resets connections': (socket) => socket.resetAndDestroy(),
  'sends long headers': (socket) =>
    socket.end(`HTTP/1.1 200 OK\r\nDocker-Content-Digest: ${'a'.repeat(1024 * 1024)}\r\n\r\n`),
  'continues for ever': (socket) => repeat(socket, () => socket.write('HTTP/1.1 100 Continue\r\n\r\n')),
};

function repeat(socket: Socket, act: () => void): void {
  const timer = setInterval(act, TICK_MS);
  socket.on('close', () => clearInterval(timer));
}

/** What it answers, to whatever it is asked. */
const ANSWERS: Readonly<
  Record<string, (host: string) => readonly [status: number, headers: Record<string, string>]>
> = {
  'redirects to itself': (host) => [307, { location: `http://${host}/v2/around/manifests/1` }],
  'redirects to a control port': () => [302, { location: 'http://127.0.0.1:1/' }],
  'sends its realm elsewhere': (host) => [
    401,
    {
      'www-authenticate': `Bearer realm="http://${host}/token?${'x'.repeat(3_000)}",service="s",scope="a b c"`,
    },
  ],
  'asks for a day of patience': () => [429, { 'retry-after': '86400' }],
  'is down': () => [503, {}],
  'names a foreign digest': () => [
    200,
    {
      'content-type': MEDIA_TYPES.ociIndex,
      'docker-content-digest': FOREIGN_DIGEST,
      'content-length': '4000000000',
    },
  ],
};

export const RAW_WAYS = Object.keys(RAW);
export const ANSWER_WAYS = Object.keys(ANSWERS);
/** Registry whose images have a dear shape each, named by the first word of the repository. */
export const SHAPED = 'has dear images';

export interface HostileRegistries {
  /** Of each way, by its words. */
  readonly hosts: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function startHostileRegistries(): Promise<HostileRegistries> {
  const sockets = new Set<Socket>();
  const servers: (Server | HttpServer)[] = [];
  const start = async (server: Server | HttpServer): Promise<string> => {
    servers.push(server);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const hosts: Record<string, string> = {};
  for (const [way, misbehave] of Object.entries(RAW)) {
    hosts[way] = await start(createServer((socket) => void socket.once('data', () => misbehave(socket))));
  }
  for (const [way, answer] of Object.entries(ANSWERS)) {
    const server = createHttpServer((incoming, outgoing) => {
      incoming.resume();
      const [status, headers] = answer(hosts[way] ?? '');
      outgoing.writeHead(status, headers).end();
    });
    hosts[way] = await start(server);
  }
  const images = new ShapedImages();
  hosts[SHAPED] = await start(
    createHttpServer((incoming, outgoing) => serveShaped(images, incoming, outgoing)),
  );
  return {
    hosts,
    async close() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** `/v2/shape-3/image-17/manifests/1.0`: each repository has the same image, and all its parts. */
function serveShaped(images: ShapedImages, incoming: IncomingMessage, outgoing: ServerResponse): void {
  incoming.resume();
  const [, number, reference = ''] =
    /^\/v2\/shape-(\d+)\/[^/]+\/(?:manifests|blobs)\/(.+)$/.exec(incoming.url ?? '') ?? [];
  const shape = SHAPE_NAMES[Number(number)];
  if (!shape) {
    outgoing.writeHead(incoming.url === '/v2/' ? 200 : 404).end();
    return;
  }
  const image = images.get(shape);
  const content = reference.startsWith('sha256:') ? image.contents.get(reference) : image.top;
  if (!content) {
    outgoing.writeHead(404).end();
    return;
  }
  outgoing.writeHead(200, {
    'content-type': content.mediaType,
    'content-length': String(content.size),
    'docker-content-digest': content.digest,
  });
  outgoing.end(incoming.method === 'HEAD' ? undefined : content.read());
}
