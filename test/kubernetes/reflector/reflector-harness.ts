import type { ServerResponse } from 'node:http';

import { systemClock } from '../../../src/clock.ts';
import type { Query } from '../../../src/kubernetes/connection/api-client.ts';
import type { NamespaceShare } from '../../../src/kubernetes/reflector/object-set.ts';
import { type Reflector, createReflector } from '../../../src/kubernetes/reflector/reflector.ts';
import {
  type ScriptedApiServer,
  type SeenRequest,
  answerJson,
  connectForTest,
  startApiServer,
} from '../scripted-api-server.ts';
import { memoryLog, until } from '../support.ts';

export interface Thing {
  readonly name: string;
  readonly version: string;
  readonly uid?: string;
  readonly wanted?: boolean;
}

/** What the test's projection keeps: enough to tell versions apart. */
type Kept = string;

/** A watch that the reflector opened; the test says what comes through it. */
export interface OpenWatch {
  readonly query: SeenRequest['query'];
  readonly response: ServerResponse;
}

function toObject({ name, version, uid = `uid-${name}`, wanted = true }: Thing): object {
  return { metadata: { namespace: 'shop', name, uid, resourceVersion: version }, wanted };
}

function project(object: unknown): Kept | undefined {
  const { metadata, wanted } = object as {
    metadata: { uid: string; resourceVersion: string };
    wanted: boolean;
  };
  return wanted ? `${metadata.uid}@${metadata.resourceVersion}` : undefined;
}

export const added = (thing: Thing) => ({ type: 'ADDED', object: toObject(thing) });
export const modified = (thing: Thing) => ({ type: 'MODIFIED', object: toObject(thing) });
export const deleted = (thing: Thing) => ({ type: 'DELETED', object: toObject(thing) });
export const bookmark = (version: string) => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: version } },
});
export const endOfList = (version: string) => ({
  type: 'BOOKMARK',
  object: {
    metadata: { resourceVersion: version, annotations: { 'k8s.io/initial-events-end': 'true' } },
  },
});
export const errorEvent = (code: number, reason = 'Tested') => ({
  type: 'ERROR',
  object: { kind: 'Status', code, reason, message: 'as the test wants' },
});

export const listOf = (version: string, things: readonly Thing[], continuation = '') => ({
  metadata: { resourceVersion: version, continue: continuation },
  items: things.map(toObject),
});

interface HarnessOptions {
  readonly query?: Query;
  readonly share?: NamespaceShare<Kept>;
}

/** One reflector against one scripted server. */
export class Harness {
  readonly server: ScriptedApiServer;
  readonly watches: OpenWatch[] = [];
  readonly lists: SeenRequest[] = [];
  readonly changes: string[] = [];
  readonly restarts: string[] = [];
  readonly log = memoryLog();
  readonly reflector: Reflector<Kept>;
  /** What the next watch is answered with, instead of being opened. */
  onWatch: ((watch: OpenWatch) => void) | undefined;
  onList: (request: SeenRequest, response: ServerResponse) => void = (_, response) =>
    answerJson(response, listOf('100', []));
  readonly #stop = new AbortController();
  readonly #connection: ReturnType<typeof connectForTest>;
  #running: Promise<void> = Promise.resolve();

  private constructor(server: ScriptedApiServer, { query, share }: HarnessOptions) {
    this.server = server;
    this.#connection = connectForTest(server.url);
    this.reflector = createReflector({
      connection: this.#connection,
      path: '/apis/test/v1/things',
      ...(query ? { query } : {}),
      resource: 'things',
      ...(share ? { share } : {}),
      project,
      onChange: (key, now, before) => this.changes.push(`${key}: ${before ?? '-'} > ${now ?? '-'}`),
      onRestart: (reason) => this.restarts.push(reason),
      log: this.log,
      clock: systemClock,
      random: () => 0,
    });
  }

  static async start(options: HarnessOptions = {}): Promise<Harness> {
    const server = await startApiServer((request, response) => {
      if (request.query['watch'] !== 'true') {
        harness.lists.push(request);
        harness.onList(request, response);
        return;
      }
      const watch = { query: request.query, response };
      harness.watches.push(watch);
      response.on('error', () => undefined);
      if (harness.onWatch) {
        harness.onWatch(watch);
      } else {
        response.flushHeaders();
      }
    });
    const harness = new Harness(server, options);
    return harness;
  }

  run(): void {
    this.#running = this.reflector.run(this.#stop.signal);
  }

  /** The nth watch, counted from 1, once it is there. */
  async watch(nth: number): Promise<OpenWatch> {
    await until(`watch ${nth}`, () => this.watches.length >= nth);
    const watch = this.watches[nth - 1];
    if (!watch) {
      throw new Error('unreachable');
    }
    return watch;
  }

  /** Runs, and completes the first list as a stream. */
  async sync(things: readonly Thing[], version = '10'): Promise<OpenWatch> {
    this.run();
    const watch = await this.watch(1);
    send(watch, ...things.map(added), endOfList(version));
    await this.reflector.synced;
    return watch;
  }

  async has(...values: readonly string[]): Promise<void> {
    const expected = values.toSorted().join();
    await until(`cache has ${expected}`, () => this.reflector.list().toSorted().join() === expected);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#connection.close();
    await this.server.close();
  }
}

export function send({ response }: OpenWatch, ...events: readonly object[]): void {
  response.write(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
}
