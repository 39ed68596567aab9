import { type CopyOnlyReason, findCopyOnlyReason } from '../../workloads/copy-only.ts';
import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import { KINDS, type WorkloadKind } from '../../workloads/kinds.ts';
import { isOwnAnnotation } from '../../workloads/annotations.ts';
import type { FormerTemplate, Pod, PodContainer, Slot, Workload } from '../../workloads/workload.ts';
import { projectImageOwners, projectTemplateChangedAtMs } from './image-owners.ts';
import { type JsonObject, asArray, asCount, asObject, asText } from '../decode/json.ts';
import { formatPodSelector } from '../pods/pod-selector.ts';
import { isLeaving, isReady, projectProgress } from '../pods/pod-progress.ts';
import { projectNewestTemplate, projectPodTemplate, projectTemplateGeneration } from './pod-template.ts';
import { projectRollout } from './rollout-projection.ts';

/** No reference is longer; kept texts end in something that no reference has, so they stay as invalid as they are. */
const LONGEST_IMAGE = 4_096;
/** Ours are 20 kB at most, but for dozens of slots; the API server takes 256 KiB from anybody who may edit the workload. */
const LONGEST_ANNOTATION = 64 * 1024;
/** Of what kubelet and controllers say, whose messages quote texts of others. */
const LONGEST_MESSAGE = 1_000;

/** Pods of all Jobs: a CronJob has no selector, so its own are told apart by the name of their Job. */
const JOB_PODS = 'job-name';

function limitImage(image: string): string {
  return image.length > LONGEST_IMAGE ? `${image.slice(0, LONGEST_IMAGE)} (cut)` : image;
}

function toSlot(
  place: Slot['place'],
  options: { name: unknown; image: unknown; pullPolicy: unknown },
): Slot[] {
  const name = asText(options.name);
  const image = asText(options.image);
  const pullPolicy = asText(options.pullPolicy);
  if (name === undefined || image === undefined) {
    return [];
  }
  return [{ place, name, image: limitImage(image), ...(pullPolicy === undefined ? {} : { pullPolicy }) }];
}

function containerSlots(place: 'containers' | 'initContainers', list: unknown): Slot[] {
  return asArray(list).flatMap((item) => {
    const { name, image, imagePullPolicy } = asObject(item);
    return toSlot(place, { name, image, pullPolicy: imagePullPolicy });
  });
}

/** Volumes that are images; all the others have no slot. */
function volumeSlots(list: unknown): Slot[] {
  return asArray(list).flatMap((item) => {
    const { name, image } = asObject(item);
    const { reference, pullPolicy } = asObject(image);
    return toSlot('volumes', { name, image: reference, pullPolicy });
  });
}

function findPodSpec(kind: WorkloadKind, object: JsonObject): JsonObject {
  const template = KINDS[kind].template.reduce((part, field) => asObject(part[field]), object);
  return asObject(template['spec']);
}

function projectSlots(spec: JsonObject): Slot[] {
  return [
    ...containerSlots('containers', spec['containers']),
    ...containerSlots('initContainers', spec['initContainers']),
    ...volumeSlots(spec['volumes']),
  ];
}

/** The slots of a raw pod. */
export function projectPodSlots(raw: unknown): readonly Slot[] {
  return projectSlots(asObject(asObject(raw)['spec']));
}

function projectAnnotations(annotations: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(asObject(annotations)).filter(
      (entry): entry is [string, string] =>
        isOwnAnnotation(entry[0]) && typeof entry[1] === 'string' && entry[1].length <= LONGEST_ANNOTATION,
    ),
  );
}

function findController(references: unknown): JsonObject {
  return asObject(asArray(references).find((reference) => asObject(reference)['controller'] === true));
}

function projectOwner(references: unknown): string | undefined {
  const controller = findController(references);
  const kind = asText(controller['kind']);
  return kind === undefined ? undefined : `${kind}/${asText(controller['name']) ?? ''}`;
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
): Pick<Workload, 'newestTemplate' | 'templateChangedAtMs' | 'architecture'> {
  const newestTemplate = projectNewestTemplate(kind, object);
  const templateChangedAtMs = projectTemplateChangedAtMs(asObject(object['metadata'])['managedFields']);
  const architecture = asText(asObject(podSpec['nodeSelector'])['kubernetes.io/arch']);
  return {
    ...(newestTemplate !== undefined && { newestTemplate }),
    ...(templateChangedAtMs !== undefined && { templateChangedAtMs }),
    ...(architecture !== undefined && { architecture }),
  };
}

/** What the controller keeps of a raw workload; undefined for what cannot be one. */
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

/** The pod template of a raw ReplicaSet; undefined for one that is not of the Deployment with this uid. */
export function projectFormerTemplate(raw: unknown, uid: string): FormerTemplate | undefined {
  const { metadata, spec } = asObject(raw);
  const { ownerReferences, annotations, labels } = asObject(metadata);
  const hash = asText(asObject(labels)['pod-template-hash']);
  const isOwned = asArray(ownerReferences).some((reference) => asObject(reference)['uid'] === uid);
  return isOwned
    ? {
        ...(hash !== undefined && { hash }),
        slots: projectSlots(asObject(asObject(asObject(spec)['template'])['spec'])),
        annotations: projectAnnotations(annotations),
      }
    : undefined;
}

function projectWaiting(state: unknown): PodContainer['waiting'] {
  const { reason, message } = asObject(asObject(state)['waiting']);
  return asText(reason) === undefined
    ? undefined
    : { reason: asText(reason) ?? '', message: (asText(message) ?? '').slice(0, LONGEST_MESSAGE) };
}

function projectContainers(specs: unknown, statuses: unknown): PodContainer[] {
  const byName = new Map(asArray(statuses).map((item) => [asObject(item)['name'], asObject(item)]));
  return asArray(specs).flatMap((item) => {
    const { name, image } = asObject(item);
    if (typeof name !== 'string' || typeof image !== 'string') {
      return [];
    }
    const status = byName.get(name);
    const waiting = projectWaiting(status?.['state']);
    const imageId = limitImage(asText(status?.['imageID']) ?? '');
    const restarts = asCount(status?.['restartCount']) ?? 0;
    return [
      {
        name,
        image: limitImage(image),
        imageId,
        ...(waiting && { waiting }),
        ...(restarts > 0 && { restarts }),
      },
    ];
  });
}

function projectMade(metadata: JsonObject): Pod['made'] {
  const controller = findController(metadata['ownerReferences']);
  const [uid, byUid, name] = [metadata['uid'], controller['uid'], controller['name']].map(asText);
  return uid && byUid && name ? { uid, by: { uid: byUid, name } } : undefined;
}

/** All that we ever write of a pod are its images. */
function projectReplacedAtMs({ managedFields }: JsonObject): number | undefined {
  const ours = asArray(managedFields)
    .map(asObject)
    .filter(({ manager }) => manager === FIELD_MANAGER);
  const newestMs = Math.max(...ours.map(({ time }) => Date.parse(asText(time) ?? '') || 0));
  return newestMs > 0 ? newestMs : undefined;
}

function projectPullSecrets(podSpec: JsonObject): readonly string[] {
  return asArray(podSpec['imagePullSecrets']).flatMap((item) => asText(asObject(item)['name']) ?? []);
}

/** Who has made a pod, and of what. */
function projectOrigin(metadata: JsonObject): Pick<Pod, 'made' | 'template' | 'templateGeneration'> {
  const made = projectMade(metadata);
  const kind = asText(findController(metadata['ownerReferences'])['kind']);
  const template = projectPodTemplate(kind, metadata);
  const templateGeneration = projectTemplateGeneration(metadata);
  return {
    ...(made && { made }),
    ...(template !== undefined && { template }),
    ...(templateGeneration !== undefined && { templateGeneration }),
  };
}

/** What the controller reads of a raw Pod; undefined for what cannot be one. */
export function projectPod(raw: unknown): Pod | undefined {
  const object = asObject(raw);
  const metadata = asObject(object['metadata']);
  const spec = asObject(object['spec']);
  const status = asObject(object['status']);
  const name = asText(metadata['name']);
  if (!name) {
    return undefined;
  }
  const replacedAtMs = projectReplacedAtMs(metadata);
  const pullSecrets = projectPullSecrets(spec);
  const volumes = volumeSlots(spec['volumes']).map(({ name: volume, image }) => ({ name: volume, image }));
  const leaving = isLeaving(metadata, status);
  return {
    name,
    ...(pullSecrets.length > 0 && { pullSecrets }),
    ...projectOrigin(metadata),
    createdAtMs: Date.parse(asText(metadata['creationTimestamp']) ?? '') || 0,
    ...(replacedAtMs !== undefined && { replacedAtMs }),
    ready: isReady(metadata, status),
    ...(leaving && { leaving }),
    containers: [
      ...projectContainers(spec['containers'], status['containerStatuses']),
      ...projectContainers(spec['initContainers'], status['initContainerStatuses']),
    ],
    ...(volumes.length > 0 && { volumes }),
    ...projectProgress(status),
  };
}
