import http from 'node:http';
import https from 'node:https';
import { createSecureContext } from 'node:tls';

import { orAborted } from '../../clock.ts';
import { findEnvironmentProxy } from '../../network/environment-proxy.ts';
import { readTrustedCertificates } from '../../network/trusted-certificates.ts';

export interface HttpRequest {
  readonly method: 'HEAD' | 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  readonly signal: AbortSignal;
  /** Of a successful answer; others are cut, for they are only quoted. */
  readonly maxBodyBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** No answer came, or none that could be taken. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly kind: 'timeout' | 'tooLarge' | 'unreachable';

  constructor(message: string, kind: HttpError['kind'], options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export interface HttpClient {
  /**
   * One request, no redirects. Settles by its deadline and its signal, whatever the other side sends.
   *
   * @throws {HttpError}
   */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** Closes idle connections. */
  close(): void;
}

export interface HttpClientOptions {
  /** HTTPS_PROXY and the like are obeyed, SSL_CERT_FILE and SSL_CERT_DIR trusted, as the copy engine does. */
  readonly environment: Readonly<Record<string, string>>;
  /** From the first byte sent to the last byte read. */
  readonly timeoutMs: number;
}

const MAX_BODY_BYTES = 64 * 1024;
const CONNECTIONS_PER_HOST = 8;
/** Answers that announce another one (1xx): servers send one or two. */
const MOST_ANNOUNCEMENTS = 16;
const SWITCHING_PROTOCOLS = 101;

interface Agents {
  pick(url: URL): http.Agent;
  destroy(): void;
}

/** One pool for each way to go: in the clear or encrypted, directly or through the proxy that the environment names. */
function createAgents(environment: HttpClientOptions['environment']): Agents {
  // Read once: Node would read what it is given anew for every connection.
  const trusted = readTrustedCertificates(environment);
  const secureContext = trusted && createSecureContext({ ca: [...trusted] });
  const agents = new Map<string, http.Agent>();

  function create(isPlain: boolean, proxy: string | undefined): http.Agent {
    const way = proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
    const options = { ...way, keepAlive: true, maxSockets: CONNECTIONS_PER_HOST };
    return isPlain
      ? new http.Agent(options)
      : new https.Agent({ ...options, ...(secureContext && { secureContext }) });
  }

  return {
    pick(url) {
      const proxy = findEnvironmentProxy(url, environment);
      const key = `${url.protocol} ${proxy ?? ''}`;
      const agent = agents.get(key) ?? create(url.protocol === 'http:', proxy);
      agents.set(key, agent);
      return agent;
    },
    destroy() {
      for (const agent of agents.values()) {
        agent.destroy();
      }
    },
  };
}

/**
 * One pool of connections for all look-ups: a handshake for each would cost more than the look-ups
 * themselves.
 *
 * @throws {UsageError} when the environment names certificates or a proxy that cannot be used.
 */
export function createHttpClient({ environment, timeoutMs }: HttpClientOptions): HttpClient {
  const agents = createAgents(environment);
  for (const scheme of ['http', 'https']) {
    agents.pick(new URL(`${scheme}://registry.invalid`));
  }

  async function send(request: HttpRequest): Promise<HttpAnswer> {
    request.signal.throwIfAborted();
    const deadline = AbortSignal.timeout(timeoutMs);
    const signal = AbortSignal.any([request.signal, deadline]);
    const agent = agents.pick(request.url);
    try {
      return await exchange(request, agent, signal);
    } catch (error) {
      request.signal.throwIfAborted();
      if (error instanceof HttpError) {
        throw error;
      }
      if (deadline.aborted) {
        throw new HttpError(`no answer in ${timeoutMs} ms`, 'timeout');
      }
      throw new HttpError(describeFailure(error as NodeJS.ErrnoException), 'unreachable');
    }
  }

  return {
    send,
    close: () => agents.destroy(),
  };
}

/**
 * A connection that the other side closed while it was idle says nothing about the registry: once more on a
 * new one.
 */
async function exchange(request: HttpRequest, agent: http.Agent, signal: AbortSignal): Promise<HttpAnswer> {
  for (;;) {
    const { url, method, headers } = request;
    const module = url.protocol === 'https:' ? https : http;
    const outgoing = module.request(url, { method, headers: { ...headers }, agent, signal });
    try {
      return await orAborted(answerOf(outgoing, request), signal);
    } catch (error) {
      outgoing.destroy();
      if (!outgoing.reusedSocket || (error as NodeJS.ErrnoException).code !== 'ECONNRESET') {
        throw error;
      }
    }
  }
}

function answerOf(outgoing: http.ClientRequest, request: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const give = (incoming: http.IncomingMessage, body: Buffer): void =>
      resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
    rejectWithoutAnswer(outgoing, reject);
    // Without a listener, Node would close the connection and tell nobody.
    outgoing.once('upgrade', (incoming, socket) => {
      socket.destroy();
      give(incoming, Buffer.alloc(0));
    });
    outgoing.once('response', (incoming) => {
      // One that may have no body, and after which the other side would speak something else.
      if (incoming.statusCode === SWITCHING_PROTOCOLS) {
        outgoing.destroy();
        give(incoming, Buffer.alloc(0));
        return;
      }
      readBody(incoming, request.maxBodyBytes ?? MAX_BODY_BYTES)
        .then((body) => give(incoming, body))
        .catch(reject);
    });
    outgoing.end(request.body);
  });
}

function rejectWithoutAnswer(outgoing: http.ClientRequest, reject: (error: Error) => void): void {
  let announcements = 0;
  outgoing.on('error', reject);
  outgoing.on('information', () => {
    announcements += 1;
    if (announcements > MOST_ANNOUNCEMENTS) {
      outgoing.destroy(new HttpError('announced an answer over and over', 'unreachable'));
    }
  });
  const onClose = (): void => reject(new HttpError('closed the connection', 'unreachable'));
  outgoing.once('close', onClose);
  outgoing.once('response', () => outgoing.off('close', onClose));
}

async function readBody(incoming: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const isSuccess = (incoming.statusCode ?? 0) < 300;
  const limit = isSuccess ? maxBytes : MAX_BODY_BYTES;
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early closes the connection.
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit && isSuccess) {
      throw new HttpError(`the answer has more than ${limit} bytes`, 'tooLarge');
    }
    chunks.push(chunk);
    if (size > limit) {
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, limit);
}

/** Node's codes say it shortest (`ECONNREFUSED`); an error for several addresses has no message of its own. */
function describeFailure(error: NodeJS.ErrnoException): string {
  return error.code ?? (error.message || 'connection failed');
}
