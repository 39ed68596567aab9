import type { Clock } from '../../clock.ts';
import { ApiError } from '../../errors.ts';
import type { PodPreview } from '../../reconcile/ports.ts';
import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import { KINDS } from '../../workloads/kinds.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { Connection } from '../connection/api-client.ts';
import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { createPodPermission } from './pod-permission.ts';
import { projectPodSlots } from '../workloads/slot-projection.ts';
import { explainRefusal } from '../connection/refusal.ts';

/** Pods of a StatefulSet mount claims that its controller makes for each of them. */
function toClaims(claims: unknown): { readonly name: string; readonly persistentVolumeClaim: object }[] {
  return asArray(claims).flatMap((claim) => {
    const name = asText(asObject(asObject(claim)['metadata'])['name']);
    return name === undefined ? [] : [{ name, persistentVolumeClaim: { claimName: name } }];
  });
}

/** The pod that the controller of a workload would make of its template. */
function toPod({ kind, namespace, name, uid }: Workload, raw: unknown): object {
  const template = KINDS[kind].template.reduce<JsonObject>(
    (part, field) => asObject(part[field]),
    asObject(raw),
  );
  const { labels, annotations } = asObject(template['metadata']);
  const spec = asObject(template['spec']);
  // Policies may want no pod that nobody owns; who really will, a ReplicaSet or a Job, is not there yet.
  const owner = { apiVersion: KINDS[kind].apiVersion, kind, name, uid, controller: true };
  const claims = toClaims(asObject(asObject(raw)['spec'])['volumeClaimTemplates']);
  // A claim takes the place of a volume that has its name.
  const claimed = new Set<unknown>(claims.map((claim) => claim.name));
  const isClaimed = (volume: unknown): boolean => claimed.has(asObject(volume)['name']);
  const volumes = asArray(spec['volumes']).filter((volume) => !isClaimed(volume));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, generateName: `${name}-`, labels, annotations, ownerReferences: [owner] },
    spec: { ...spec, ...(claims.length > 0 && { volumes: [...volumes, ...claims] }) },
  };
}

/** A rollout may end a pod before it starts one: that there is no room for one more today says nothing. */
function isQuota({ message }: ApiError): boolean {
  return message.includes('exceeded quota');
}

/** A webhook that does not say that it has no side effects fails every dry run. */
export function isDryRunUnknown(error: unknown): boolean {
  return error instanceof ApiError && error.status === 400;
}

/**
 * Asks what admission would make of the pods of a workload, by a dry run of creating one; the API server keeps nothing.
 * That takes the permission to create pods, so whether there is one is asked first: where not, nothing is tried.
 */
export function createPodDryRun(options: {
  readonly connection: Pick<Connection, 'request'>;
  readonly clock: Clock;
  readonly assertMayWrite: () => void;
}): (workload: Workload, raw: unknown, signal: AbortSignal) => Promise<PodPreview> {
  const { connection, clock, assertMayWrite } = options;
  const mayCreatePods = createPodPermission(connection, clock);

  /** @throws {WriteDeniedError} when admission would refuse such a pod. */
  return async function dryRunPod(workload, raw, signal) {
    const { namespace } = workload;
    if (!(await mayCreatePods(namespace, signal))) {
      return { is: 'not permitted' };
    }
    try {
      const pod = await connection.request({
        method: 'POST',
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
        query: { fieldManager: FIELD_MANAGER, dryRun: 'All' },
        body: toPod(workload, raw),
        guard: assertMayWrite,
        signal,
      });
      return { is: 'seen', slots: projectPodSlots(pod) };
    } catch (error) {
      if (isDryRunUnknown(error) || (error instanceof ApiError && isQuota(error))) {
        return { is: 'unknown' };
      }
      throw explainRefusal(error);
    }
  };
}
