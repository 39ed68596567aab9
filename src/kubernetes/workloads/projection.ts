import { type CopyOnlyReason, findCopyOnlyReason } from '../../workloads/copy-only.ts';
import { KINDS, type WorkloadKind } from '../../workloads/kinds.ts';
import { MOST_SLOTS } from '../../workloads/size-limits.ts';
import type { FormerTemplate, Workload } from '../../workloads/workload.ts';
import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';
import { formatPodSelector } from '../pods/pod-selector.ts';
import { projectPullSecrets } from '../pods/pull-secret-names.ts';
import { projectAnnotations } from './annotation-projection.ts';
import { projectImageOwners, projectTemplateChangedAtMs } from './image-owners.ts';
import { projectOwner } from './owner-projection.ts';
import { projectNewestTemplate } from './pod-template.ts';
import { projectRollout } from './rollout-projection.ts';
import { projectSlots } from './slot-projection.ts';

/** Pods of all Jobs: a CronJob has no selector, so its own are told apart by the name of their Job. */
const JOB_PODS = 'job-name';
/** Of the value of a label. */
const LONGEST_LABEL = 63;

function findPodSpec(kind: WorkloadKind, object: JsonObject): JsonObject {
  const template = KINDS[kind].template.reduce((part, field) => asObject(part[field]), object);
  return asObject(template['spec']);
}

function projectCopyOnly(kind: WorkloadKind, object: JsonObject): CopyOnlyReason | undefined {
  const { labels, annotations } = asObject(object['metadata']);
  const template = asObject(asObject(object['spec'])['template']);
  return findCopyOnlyReason({
    kind,
    labels: asObject(labels),
    annotations: asObject(annotations),
    priorityClassName: asObject(template['spec'])['priorityClassName'],
  });
}

/** What is known of the pod template besides its images. */
function projectTemplate(
  kind: WorkloadKind,
  object: JsonObject,
  podSpec: JsonObject,
): Pick<Workload, 'newestTemplate' | 'templateChangedAtMs' | 'architecture' | 'keepsNoRevisions'> {
  const newestTemplate = projectNewestTemplate(kind, object);
  const templateChangedAtMs = projectTemplateChangedAtMs(asObject(object['metadata'])['managedFields']);
  const architecture = asText(asObject(podSpec['nodeSelector'])['kubernetes.io/arch']);
  return {
    ...(newestTemplate !== undefined && { newestTemplate }),
    ...(templateChangedAtMs !== undefined && { templateChangedAtMs }),
    ...(architecture !== undefined && { architecture: cutText(architecture, LONGEST_LABEL) }),
    ...(kind === 'Deployment' &&
      asObject(object['spec'])['revisionHistoryLimit'] === 0 && { keepsNoRevisions: true }),
  };
}

/** What there is to know of a raw workload, however large it is; undefined for what cannot be one. */
export function projectWorkload(kind: WorkloadKind, raw: unknown): Workload | undefined {
  const object = asObject(raw);
  const metadata = asObject(object['metadata']);
  const name = asText(metadata['name']);
  const namespace = asText(metadata['namespace']);
  const uid = asText(metadata['uid']);
  const resourceVersion = asText(metadata['resourceVersion']);
  if (!name || !namespace || !uid || !resourceVersion) {
    return undefined;
  }
  const podSpec = findPodSpec(kind, object);
  const owner = projectOwner(metadata['ownerReferences']);
  const copyOnly = projectCopyOnly(kind, object);
  return {
    kind,
    namespace,
    name,
    uid,
    resourceVersion,
    slots: projectSlots(podSpec),
    pullSecrets: projectPullSecrets(podSpec),
    annotations: projectAnnotations(metadata['annotations']),
    ...(owner === undefined ? {} : { owner }),
    ...(copyOnly === undefined ? {} : { copyOnly }),
    ...projectImageOwners(metadata['managedFields']),
    podSelector: kind === 'CronJob' ? JOB_PODS : formatPodSelector(asObject(object['spec'])['selector']),
    ...projectTemplate(kind, object, podSpec),
    rollout: projectRollout(kind, object),
  };
}

/** The pod template of a raw ReplicaSet; undefined for one that is not of the Deployment with this uid, or too large. */
export function projectFormerTemplate(raw: unknown, uid: string): FormerTemplate | undefined {
  const { metadata, spec } = asObject(raw);
  const { ownerReferences, annotations, labels } = asObject(metadata);
  const hash = asText(asObject(labels)['pod-template-hash']);
  const isOwned = asArray(ownerReferences).some((reference) => asObject(reference)['uid'] === uid);
  const slots = projectSlots(asObject(asObject(asObject(spec)['template'])['spec']));
  return isOwned && slots.length <= MOST_SLOTS
    ? {
        ...(hash !== undefined && { hash: cutText(hash, LONGEST_LABEL) }),
        slots,
        annotations: projectAnnotations(annotations),
      }
    : undefined;
}
