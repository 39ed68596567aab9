import net, { type AddressInfo, type Socket } from 'node:net';

import { onTestFinished } from 'vitest';

/** A server that says what no HTTP server would: `talk` is called with every connection once a request has come. */
export async function startRawServer(
  talk: (socket: Socket) => void,
): Promise<{ readonly origin: string; readonly open: ReadonlySet<Socket> }> {
  const open = new Set<Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    socket.once('data', () => talk(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    for (const socket of open) {
      socket.destroy();
    }
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, open };
}

/** All of them on the way to another protocol. */
export const SWITCHES = [
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nPRI * HTTP/2.0\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\n\r\n',
] as const;
