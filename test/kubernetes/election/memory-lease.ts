import { ApiError } from '../../../src/errors.ts';
import type { ApiRequest, Connection } from '../../../src/kubernetes/connection/api-client.ts';
import { asObject } from '../../../src/kubernetes/decode/json.ts';

/**
 * One Lease as the API server keeps it: created once, replaced only by whoever knows its version. Requests are
 * answered after a turn of the event loop, or as `interfere` says. That a real API server behaves so is shown
 * by the integration tests.
 */
export class MemoryLease {
  object: Record<string, unknown> | undefined;
  readonly requests: ApiRequest[] = [];
  /** Called before each request; what it throws or waits for happens to the request. */
  interfere: (request: ApiRequest) => Promise<void> | void = () => undefined;
  #version = 0;

  get spec(): Readonly<Record<string, unknown>> {
    return asObject(this.object?.['spec']);
  }

  /** As another process would write it. */
  put(spec: object, metadata: object = {}): void {
    this.#version += 1;
    this.object = { metadata: { ...metadata, name: 'lease', resourceVersion: String(this.#version) }, spec };
  }

  get annotations(): Readonly<Record<string, unknown>> {
    return asObject(asObject(this.object?.['metadata'])['annotations']);
  }

  readonly connection: Pick<Connection, 'request'> = {
    request: async <T>(request: ApiRequest): Promise<T> => {
      request.signal?.throwIfAborted();
      this.requests.push(request);
      await this.interfere(request);
      request.signal?.throwIfAborted();
      return this.#answer(request) as T;
    },
  };

  #answer({ method, body }: ApiRequest): unknown {
    if (method === 'GET') {
      return this.object ?? refuse(404);
    }
    const sent = asObject(body);
    if (method === 'POST' && this.object) {
      refuse(409);
    }
    const version = asObject(this.object?.['metadata'])['resourceVersion'];
    if (method === 'PUT' && asObject(sent['metadata'])['resourceVersion'] !== version) {
      refuse(409);
    }
    this.put(asObject(sent['spec']), asObject(sent['metadata']));
    return this.object;
  }
}

export function refuse(status: number): never {
  throw new ApiError(`answered with ${status}`, { status, reason: 'Tested' });
}
