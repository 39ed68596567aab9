import type { WorkloadKind } from '../../workloads/kinds.ts';
import type { Rollout } from '../../workloads/workload.ts';
import { type JsonObject, asArray, asCount, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

type PodCounts = Pick<Rollout, 'desired' | 'current' | 'updated' | 'available'>;

/** How the kinds count their pods. */
const PROJECT_COUNTS: Readonly<Record<WorkloadKind, (spec: JsonObject, status: JsonObject) => PodCounts>> = {
  Deployment: (spec, status) => ({
    desired: asCount(spec['replicas']) ?? 1,
    current: asCount(status['replicas']) ?? 0,
    updated: asCount(status['updatedReplicas']) ?? 0,
    available: asCount(status['availableReplicas']) ?? 0,
  }),
  DaemonSet: (_, status) => ({
    desired: asCount(status['desiredNumberScheduled']) ?? 0,
    current: asCount(status['currentNumberScheduled']) ?? 0,
    updated: asCount(status['updatedNumberScheduled']) ?? 0,
    available: asCount(status['numberAvailable']) ?? 0,
  }),
  StatefulSet: (spec, status) => ({
    desired: asCount(spec['replicas']) ?? 1,
    current: asCount(status['replicas']) ?? 0,
    updated: asCount(status['updatedReplicas']) ?? 0,
    // Clusters before 1.25 need not count the available ones.
    available: asCount(status['availableReplicas']) ?? asCount(status['readyReplicas']) ?? 0,
  }),
  // Jobs that run: it wants none, and is at rest when there is none.
  CronJob: (_, status) => {
    const running = asArray(status['active']).length;
    return { desired: 0, current: running, updated: running, available: running };
  },
};

/** True for a strategy that leaves some pods as they are until somebody acts. */
function isOnDelete(spec: JsonObject): boolean {
  const { type, rollingUpdate } = asObject(spec['updateStrategy']);
  return type === 'OnDelete' || (asCount(asObject(rollingUpdate)['partition']) ?? 0) > 0;
}

/** Of what controllers say, who quote texts of others. */
const LONGEST_MESSAGE = 1_000;

/** A Deployment says when its pods are refused, and quotes the API server. */
function projectRefused(conditions: unknown): Rollout['refused'] {
  const failure = asObject(
    asArray(conditions).find((item) => {
      const { type, status } = asObject(item);
      return type === 'ReplicaFailure' && status === 'True';
    }),
  );
  return failure['type'] === undefined
    ? undefined
    : {
        sinceMs: Date.parse(asText(failure['lastTransitionTime']) ?? '') || 0,
        message: cutText(asText(failure['message']) ?? '', LONGEST_MESSAGE),
      };
}

/**
 * Whether a rollout of this template has ended once, whatever has become of its pods since. A Deployment says so while it
 * has a deadline, which it has unless somebody takes it off; a DaemonSet does not.
 */
function projectCompleted(kind: WorkloadKind, status: JsonObject): boolean | undefined {
  if (kind === 'StatefulSet') {
    const { currentRevision, updateRevision } = status;
    return updateRevision !== undefined && currentRevision === updateRevision;
  }
  const progressing = asArray(status['conditions'])
    .map(asObject)
    .find(({ type }) => type === 'Progressing');
  return kind === 'Deployment' && progressing
    ? progressing['reason'] === 'NewReplicaSetAvailable'
    : undefined;
}

/** A CronJob does not say what it has seen; it reads its template at every run. */
function projectObserved(kind: WorkloadKind, generation: number, status: JsonObject): number {
  return kind === 'CronJob' ? generation : (asCount(status['observedGeneration']) ?? 0);
}

/** Progress of a raw workload. */
export function projectRollout(kind: WorkloadKind, object: JsonObject): Rollout {
  const metadata = asObject(object['metadata']);
  const spec = asObject(object['spec']);
  const status = asObject(object['status']);
  const generation = asCount(metadata['generation']) ?? 0;
  const refused = projectRefused(status['conditions']);
  const startedAtMs = Date.parse(asText(status['lastScheduleTime']) ?? '');
  const observedGeneration = projectObserved(kind, generation, status);
  const completed = observedGeneration >= generation ? projectCompleted(kind, status) : undefined;
  return {
    ...PROJECT_COUNTS[kind](spec, status),
    generation,
    observedGeneration,
    ...(completed !== undefined && { completed }),
    paused: spec['paused'] === true,
    terminating: (metadata['deletionTimestamp'] ?? undefined) !== undefined,
    onDelete: isOnDelete(spec),
    recreate: asObject(spec['strategy'])['type'] === 'Recreate',
    ...(refused && { refused }),
    ...(Number.isFinite(startedAtMs) && { startedAtMs }),
  };
}
