import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import type { Pod, PodContainer } from '../../workloads/workload.ts';
import { type JsonObject, asArray, asCount, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';
import { findController } from '../workloads/owner-projection.ts';
import { projectPodTemplate, projectTemplateGeneration } from '../workloads/pod-template.ts';
import { limitImage, volumeSlots } from '../workloads/slot-projection.ts';
import { isLeaving, isReady, projectProgress } from './pod-progress.ts';
import { projectPullSecrets } from './pull-secret-names.ts';

/** Of what kubelet and controllers say, whose messages quote texts of others. */
const LONGEST_MESSAGE = 1_000;
const LONGEST_REASON = 100;
/** Of an object. */
const LONGEST_NAME = 253;

function projectWaiting(state: unknown): PodContainer['waiting'] {
  const { reason, message } = asObject(asObject(state)['waiting']);
  return asText(reason) === undefined
    ? undefined
    : {
        reason: cutText(asText(reason) ?? '', LONGEST_REASON),
        message: cutText(asText(message) ?? '', LONGEST_MESSAGE),
      };
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
        name: cutText(name, LONGEST_NAME),
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
  const [uid, byUid, name] = [metadata['uid'], controller['uid'], controller['name']].map((value) =>
    cutText(asText(value) ?? '', LONGEST_NAME),
  );
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
