/** Objects of one workload, as they are in a cluster that has been backed up, or has not yet been. */
import { createHash } from 'node:crypto';

import { planCopyNames } from '../../../src/images/copy-name.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { parseSettings } from '../../../src/settings/settings.ts';
import { formatRecord } from '../../../src/workloads/record.ts';
import type { AnyObject } from '../../support/objects.ts';

export const REPLICAS = 3;

export interface ImageOfWorkload {
  /** As its user wrote it. */
  readonly original: string;
  readonly digest: string;
  /** What the template has, and the pods. */
  readonly image: string;
  /** Of the swap; undefined: there has been none. */
  readonly annotations: Readonly<Record<string, string | null>> | undefined;
}

export function digestOf(image: string): string {
  return `sha256:${createHash('sha256').update(`image ${image}`).digest('hex')}`;
}

function originalOf(sourceHost: string, image: string): string {
  return `${sourceHost}/team/image-${image}:1.0`;
}

/** Not swapped yet. */
export function toOriginalImage(sourceHost: string, image: string): ImageOfWorkload {
  const original = originalOf(sourceHost, image);
  return { original, digest: digestOf(image), image: original, annotations: undefined };
}

export function toSwappedImage(
  sourceHost: string,
  image: string,
  settings: Readonly<Record<string, string>>,
): ImageOfWorkload {
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = parseSettings(settings, {});
  const original = originalOf(sourceHost, image);
  const digest = digestOf(image);
  const { image: copy } = planCopyNames({ source: parseReference(original), digest, prefix, naming });
  const annotations = formatRecord({
    originals: new Map([['main', original]]),
    copies: new Map([['main', copy]]),
    before: new Map(),
    swappedAtMs: Date.UTC(2026, 0, 1),
  });
  return { original, digest, image: copy, annotations };
}

/** What charts put into a container, in the amounts in which they do. */
function createContainer(name: string, image: string): object {
  const env = Array.from({ length: 2 }, (_, index) => ({
    name: `SETTING_NUMBER_${index}`,
    value: `some-value-of-usual-length-${index}`,
  }));
  return {
    name,
    image,
    env,
    resources: { requests: { cpu: '100m', memory: '128Mi' } },
    volumeMounts: [{ name: 'config', mountPath: '/etc/app', readOnly: true }],
  };
}

interface Place {
  readonly namespace: string;
  readonly name: string;
}

function createPodSpec(image: string): object {
  return {
    containers: [createContainer('main', image)],
    volumes: [{ name: 'config', configMap: { name: 'config' } }],
  };
}

/** Rolled out. */
const STATUS = {
  observedGeneration: 1,
  replicas: REPLICAS,
  readyReplicas: REPLICAS,
  availableReplicas: REPLICAS,
};

const SINCE = '2026-01-01T00:00:00Z';

export interface ObjectAndStatus {
  readonly object: AnyObject;
  readonly status: object;
}

export function createDeployment(
  { namespace, name }: Place,
  { image, annotations }: ImageOfWorkload,
): ObjectAndStatus {
  const labels = { 'app.kubernetes.io/name': name };
  const object = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels, ...(annotations && { annotations }) },
    spec: {
      replicas: REPLICAS,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: createPodSpec(image) },
    },
  } as unknown as AnyObject;
  const conditions = [
    { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' },
    { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' },
  ].map((condition) => ({ ...condition, lastTransitionTime: SINCE, lastUpdateTime: SINCE }));
  return { object, status: { ...STATUS, updatedReplicas: REPLICAS, conditions } };
}

const HASH = '5d9c7b8f6';

export function replicaSetNameOf(deployment: string): string {
  return `${deployment}-${HASH}`;
}

function ownedBy(kind: string, name: string, uid: string): object {
  const ownerReferences = [{ apiVersion: 'apps/v1', kind, name, uid, controller: true }];
  return { ownerReferences };
}

export function createReplicaSet(
  { namespace, name }: Place,
  { image }: ImageOfWorkload,
  deploymentUid: string,
): ObjectAndStatus {
  const labels = { 'app.kubernetes.io/name': name, 'pod-template-hash': HASH };
  const object = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      namespace,
      name: replicaSetNameOf(name),
      labels,
      annotations: { 'deployment.kubernetes.io/revision': '1' },
      ...ownedBy('Deployment', name, deploymentUid),
    },
    spec: {
      replicas: REPLICAS,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: createPodSpec(image) },
    },
  } as unknown as AnyObject;
  return { object, status: { ...STATUS, fullyLabeledReplicas: REPLICAS } };
}

export function createPod(
  { namespace, name, podName }: Place & { readonly podName: string },
  { image, digest }: ImageOfWorkload,
  replicaSetUid: string,
): ObjectAndStatus {
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace,
      name: podName,
      labels: { 'app.kubernetes.io/name': name, 'pod-template-hash': HASH },
      ...ownedBy('ReplicaSet', replicaSetNameOf(name), replicaSetUid),
    },
    spec: { nodeName: 'node-1', ...createPodSpec(image) },
  } as unknown as AnyObject;
  const conditions = [
    'PodReadyToStartContainers',
    'Initialized',
    'Ready',
    'ContainersReady',
    'PodScheduled',
  ].map((type) => ({ type, status: 'True', lastTransitionTime: SINCE }));
  const repository = image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  const containerStatus = {
    name: 'main',
    image,
    imageID: `${repository}@${digest}`,
    containerID: `containerd://${digest.slice('sha256:'.length)}`,
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: SINCE } },
  };
  const status = {
    phase: 'Running',
    conditions,
    containerStatuses: [containerStatus],
    hostIP: '10.0.0.1',
    podIP: '10.1.0.1',
    podIPs: [{ ip: '10.1.0.1' }],
    qosClass: 'Burstable',
    startTime: SINCE,
  };
  return { object, status };
}
