import { randomBytes } from 'node:crypto';

import type { Logger } from 'pino';

import { type Clock, wait } from '../../clock.ts';
import type { EventRecorder, EventSubject } from '../../reconcile/ports.ts';
import { type WorkloadKind, KINDS } from '../../workloads/kinds.ts';
import type { Connection } from '../connection/api-client.ts';
import { toPlainText } from '../connection/api-errors.ts';
import { EventLine } from './event-line.ts';
import { EventMemory } from './event-memory.ts';
import { formatMicroTime } from '../decode/micro-time.ts';

const REPORTING_CONTROLLER = 'backup-image-registry/controller';
/** Limits of the API server. */
const LONGEST_NOTE_BYTES = 1_024;
const LONGEST_INSTANCE = 128;
const LONGEST_NAME = 253;
const SEND_TIMEOUT_MS = 10_000;

export interface Events extends EventRecorder {
  /** Refuses new events and waits for those that wait, at most that long. */
  close(deadlineMs: number): Promise<void>;
}

/** As much of a text as fits into a number of bytes, whole characters only. */
export function cutBytes(text: string, limitBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= limitBytes) {
    return text;
  }
  const ELLIPSIS = '…';
  let end = limitBytes - Buffer.byteLength(ELLIPSIS);
  // Bytes 10xxxxxx continue a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) {
    end -= 1;
  }
  return bytes.toString('utf8', 0, end) + ELLIPSIS;
}

function toReference({ kind, namespace, name, uid, resourceVersion }: EventSubject): object {
  const apiVersion = isWorkloadKind(kind) ? KINDS[kind].apiVersion : 'v1';
  return { apiVersion, kind, namespace, name, uid, resourceVersion };
}

function isWorkloadKind(kind: string): kind is WorkloadKind {
  return Object.hasOwn(KINDS, kind);
}

function eventName(objectName: string): string {
  const unique = randomBytes(8).toString('hex');
  const readable = objectName.slice(0, LONGEST_NAME - unique.length - 1).replace(/[.-]+$/u, '');
  return `${readable}.${unique}`;
}

interface Waiting {
  readonly namespace: string;
  readonly method: 'POST' | 'PATCH';
  readonly path: string;
  readonly body: object;
}

/** Sends one after the other, so that a storm of events costs one request at a time. Never throws. */
class EventSender {
  readonly #connection: Pick<Connection, 'request'>;
  readonly #log: Pick<Logger, 'debug' | 'warn'>;
  readonly #abort = new AbortController();
  readonly #waiting = new EventLine<Waiting>();
  #sending: Promise<void> | undefined;
  #isClosed = false;
  #hasWarned = false;

  constructor(connection: Pick<Connection, 'request'>, log: Pick<Logger, 'debug' | 'warn'>) {
    this.#connection = connection;
    this.#log = log;
  }

  send(event: Waiting): void {
    if (this.#isClosed || !this.#waiting.put(event.namespace, event)) {
      this.#log.debug({ path: event.path }, 'event dropped');
      return;
    }
    this.#sending ??= this.#sendAll();
  }

  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true;
    const settled = new AbortController();
    const sending = (this.#sending ?? Promise.resolve()).then(() => settled.abort());
    await wait(this.#sending ? deadlineMs : 0, settled.signal);
    this.#abort.abort();
    await sending;
  }

  async #sendAll(): Promise<void> {
    for (let event = this.#waiting.take(); event; event = this.#waiting.take()) {
      await this.#sendOne(event);
    }
    this.#sending = undefined;
  }

  async #sendOne({ method, path, body }: Waiting): Promise<void> {
    try {
      await this.#connection.request({
        method,
        path,
        body,
        ...(method === 'PATCH' && { contentType: 'application/merge-patch+json' }),
        timeoutMs: SEND_TIMEOUT_MS,
        signal: this.#abort.signal,
      });
      this.#hasWarned = false;
    } catch (err) {
      this.#log[this.#hasWarned ? 'debug' : 'warn']({ err }, 'event not sent');
      this.#hasWarned = true;
    }
  }
}

type Recorded = Parameters<EventRecorder['record']>[1];

/** Events of `events.k8s.io/v1`: best effort, and never a reason for the work to wait. */
export function createEvents(options: {
  readonly connection: Pick<Connection, 'request'>;
  /** Which process says so: the name of the pod. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'debug' | 'warn'>;
}): Events {
  const { connection, instance, clock, log } = options;
  const sender = new EventSender(connection, log);
  const memory = new EventMemory(clock);
  const toSeries = (count: number): object => ({
    series: { count, lastObservedTime: formatMicroTime(clock.nowMs()) },
  });
  const toEvent = (name: string, subject: EventSubject, event: Recorded): object => ({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: subject.namespace },
    eventTime: formatMicroTime(clock.nowMs()),
    reportingController: REPORTING_CONTROLLER,
    reportingInstance: instance.slice(0, LONGEST_INSTANCE),
    regarding: toReference(subject),
    type: event.type,
    reason: event.reason,
    action: event.action,
    note: cutBytes(toPlainText(event.note), LONGEST_NOTE_BYTES),
  });
  return {
    record(subject, event) {
      const { namespace } = subject;
      const path = `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
      const name = eventName(subject.name);
      const telling = memory.notice(`${subject.uid}\n${event.reason}\n${event.note}`, name);
      switch (telling.kind) {
        case 'nothing':
          break;
        case 'new':
          sender.send({ namespace, method: 'POST', path, body: toEvent(name, subject, event) });
          break;
        case 'again':
          sender.send({
            namespace,
            method: 'PATCH',
            path: `${path}/${telling.name}`,
            body: toSeries(telling.count),
          });
      }
    },
    close: (deadlineMs) => sender.close(deadlineMs),
  };
}
