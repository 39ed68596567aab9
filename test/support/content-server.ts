import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { HostileImage } from './hostile-images.ts';

export interface ContentServer {
  /** How image names begin. */
  readonly host: string;
  /** `METHOD path (user agent)`, oldest first. */
  readonly requests: readonly string[];
  /** From now on, any name in the repository means the image, unless it is the digest of something in it. */
  hold(repository: string, image: HostileImage): void;
  close(): Promise<void>;
}

/**
 * A registry that can be read, and that takes nothing amiss: real ones would refuse to hold some of these images. `more`:
 * headers of its answers.
 */
export async function startContentServer(
  more: () => Readonly<Record<string, string>> = () => ({}),
): Promise<ContentServer> {
  const images = new Map<string, HostileImage>();
  const requests: string[] = [];
  const server = createServer((request, answer) => {
    requests.push(`${request.method} ${request.url} (${request.headers['user-agent']})`);
    const found = find(images, request);
    if (!found) {
      answer.writeHead(404).end();
      return;
    }
    const { content, digest } = found;
    answer.writeHead(200, {
      'content-type': content.mediaType,
      'content-length': content.sizeBytes,
      'docker-content-digest': digest,
      ...more(),
    });
    answer.end(request.method === 'HEAD' ? undefined : content.read());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    hold: (repository, image) => void images.set(repository, image),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function find(images: ReadonlyMap<string, HostileImage>, { url = '' }: IncomingMessage) {
  const [, repository = '', kind, name = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)/.exec(url) ?? [];
  const image = images.get(repository);
  if (!image) {
    return undefined;
  }
  const digest = kind === 'manifests' && !name.includes(':') ? image.digest : name;
  const content = image.contents.get(digest);
  return content && { content, digest };
}
