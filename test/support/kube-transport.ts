import { request as sendRequest, type Agent, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { KubeError } from './kube-error.ts';

/** Where an API server is, and who asks. Plain data, so that it can be handed to another process. */
export interface KubeConnection {
  /** `https://127.0.0.1:12345` */
  readonly server: string;
  /** PEM */
  readonly ca: string;
  readonly token: string;
}

export interface KubeRequest {
  readonly method: string;
  /** With leading slash. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: Status };

interface Status {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** HTTP and JSON, nothing about kinds. */
export interface KubeTransport {
  request<T>(request: KubeRequest): Promise<T>;
  watch<T>(path: string, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
}

const REQUEST_DEADLINE_MS = 30_000;

export function createKubeTransport(connection: KubeConnection, agent: Agent): KubeTransport {
  return {
    async request<T>(request: KubeRequest): Promise<T> {
      const signal = AbortSignal.timeout(REQUEST_DEADLINE_MS);
      const answer = await send(connection, request, { agent, signal });
      const isJson = answer.headers['content-type']?.startsWith('application/json');
      return (isJson ? JSON.parse(await text(answer)) : await text(answer)) as T;
    },
    async *watch<T>(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
      // Not through the agent: a watch would keep one of its connections for itself.
      const answer = await send(
        connection,
        { method: 'GET', path },
        { ca: connection.ca, agent: false, signal },
      );
      yield* jsonLines<WatchEvent<T>>(answer);
    },
  };
}

/** Rejects when the connection breaks, and closes it when the reader stops reading; `node:readline` does neither. */
async function* jsonLines<T>(stream: AsyncIterable<Buffer>): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      yield JSON.parse(line) as T;
    }
  }
}

async function send(
  { server, token }: KubeConnection,
  { method, path, body, contentType = 'application/json' }: KubeRequest,
  options: RequestOptions,
): Promise<IncomingMessage> {
  const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = {
    authorization: `Bearer ${token}`,
    accept: 'application/json',
    // With its length: Node sends the body of a DELETE without one otherwise, which the server takes for a next request.
    ...(content && { 'content-type': contentType, 'content-length': content.length }),
  };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = sendRequest(new URL(path, server), { ...options, method, headers });
    outgoing.once('error', reject).once('response', resolve);
    outgoing.end(content);
  });
  const status = answer.statusCode ?? 0;
  if (status >= 300) {
    throw refusal(`${method} ${path}`, status, await text(answer));
  }
  return answer;
}

function refusal(request: string, status: number, body: string): KubeError {
  const { reason = `HTTP ${status}`, message = body } = parseStatus(body);
  return new KubeError(`${request}: ${status} ${message}`, { status, reason });
}

/** Not everything answers with a Status object: health checks and the first moments of an API server do not. */
function parseStatus(body: string): Status {
  try {
    return JSON.parse(body) as Status;
  } catch {
    return {};
  }
}
