import { ApiError } from '../../errors.ts';
import type { Connection } from '../connection/api-client.ts';
import { type JsonObject, asCount, asObject, asText } from '../decode/json.ts';
import { formatMicroTime } from '../decode/micro-time.ts';

/** The part of a Lease that elections are about. */
export interface LeaseRecord {
  /** Empty: nobody holds it. */
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  readonly leaseTransitions: number;
  /** As written by whoever holds it: never compared with our clocks. */
  readonly acquireTime: string;
  readonly renewTime: string;
}

/** A Lease as the API server last showed it to us. */
export interface ObservedLease {
  readonly record: LeaseRecord;
  /** What the last holder has left to the next one; undefined when it has left nothing. */
  readonly memo: string | undefined;
  /** Text of the record with all fields: differs whenever anybody renewed it. */
  readonly fingerprint: string;
  /** The whole object, so that fields unknown to us survive an update. */
  readonly object: JsonObject;
}

/** What is written into a Lease. */
export interface LeaseUpdate {
  readonly record: LeaseRecord;
  /** Empty: there is nothing to know any more. Undefined: what is there stays. */
  readonly memo: string | undefined;
}

export interface LeaseStore {
  /** Undefined when there is no such Lease. */
  get(signal?: AbortSignal): Promise<ObservedLease | undefined>;
  create(record: LeaseRecord, signal?: AbortSignal): Promise<ObservedLease>;
  /** @throws {ApiError} with status 409 when somebody else was faster. */
  update(lease: ObservedLease, update: LeaseUpdate, signal?: AbortSignal): Promise<ObservedLease>;
}

function observeLease(answer: unknown, memoKey: string): ObservedLease {
  const object = asObject(answer);
  const spec = asObject(object['spec']);
  const { annotations } = asObject(object['metadata']);
  return {
    object,
    memo: asText(asObject(annotations)[memoKey]),
    fingerprint: JSON.stringify(spec),
    record: {
      holderIdentity: asText(spec['holderIdentity']) ?? '',
      leaseDurationSeconds: asCount(spec['leaseDurationSeconds']) ?? 0,
      leaseTransitions: asCount(spec['leaseTransitions']) ?? 0,
      acquireTime: asText(spec['acquireTime']) ?? formatMicroTime(0),
      renewTime: asText(spec['renewTime']) ?? formatMicroTime(0),
    },
  };
}

function annotate(metadata: JsonObject, memoKey: string, memo: string | undefined): JsonObject {
  if (memo === undefined) {
    return metadata;
  }
  const { [memoKey]: _, ...others } = asObject(metadata['annotations']);
  return { ...metadata, annotations: { ...others, ...(memo !== '' && { [memoKey]: memo }) } };
}

export function createLeaseStore(options: {
  readonly connection: Pick<Connection, 'request'>;
  readonly namespace: string;
  readonly name: string;
  /** Annotation for what a holder leaves to the next one; of no interest to whoever only looks. */
  readonly memoKey?: string;
  readonly timeoutMs: number;
}): LeaseStore {
  const { connection, namespace, name, memoKey = '', timeoutMs } = options;
  const folder = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
  const path = `${folder}/${encodeURIComponent(name)}`;
  const common = { timeoutMs, isUrgent: true };
  return {
    async get(signal) {
      try {
        return observeLease(await connection.request({ ...common, method: 'GET', path, signal }), memoKey);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) {
          return undefined;
        }
        throw error;
      }
    },
    async create(record, signal) {
      const body = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { namespace, name },
        spec: record,
      };
      const answer = await connection.request({ ...common, method: 'POST', path: folder, body, signal });
      return observeLease(answer, memoKey);
    },
    async update({ object }, { record, memo }, signal) {
      const body = {
        ...object,
        metadata: annotate(asObject(object['metadata']), memoKey, memo),
        spec: { ...asObject(object['spec']), ...record },
      };
      return observeLease(
        await connection.request({ ...common, method: 'PUT', path, body, signal }),
        memoKey,
      );
    },
  };
}
