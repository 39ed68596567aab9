import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { ApiServer } from '../../support/control-plane.ts';
import { type Kube, type ObjectReference, referenceTo } from '../../support/kube.ts';
import { forEach } from '../laboratory.ts';
import { fillIn, newUid, type StoredObject, storeObjects } from './stored-objects.ts';
import {
  createDeployment,
  createPod,
  createReplicaSet,
  digestOf,
  type ImageOfWorkload,
  type ObjectAndStatus,
  REPLICAS,
  replicaSetNameOf,
  toOriginalImage,
  toSwappedImage,
} from './swapped-objects.ts';

const NAMESPACES = 50;
const IMAGES = 2_000;
/** Of the API server's 400 places for writes; more makes it slower. */
const TOUCH_CONCURRENCY = 48;
/** Workloads whose objects are in memory at the same time. */
const BATCH = 1_000;

/** Deployments of three pods as they are in a cluster that has been backed up: nothing is left to do. */
export interface ClusterOfMany {
  readonly settings: Readonly<Record<string, string>>;
  /** HEAD requests that the registries were asked. */
  readonly lookups: number;
  /** Adds Deployments with their ReplicaSets and pods until there are so many. */
  growTo(count: number): Promise<void>;
  /** Changes that many, once each. */
  touch(count: number, round: string): Promise<void>;
  /** Makes them what they were before the controller came: nothing is swapped, and nothing is in the backup. */
  undo(): Promise<void>;
  close(): Promise<void>;
}

/** Knows every image that there is, in source and backup, and answers at once: what is measured is the controller. */
async function startKnowingRegistry(): Promise<{
  readonly host: string;
  lookups(): number;
  /** From now on there are only sources. */
  emptyBackup(): void;
  close(): Promise<void>;
}> {
  let lookups = 0;
  let isBackupEmpty = false;
  const server = createServer(({ url = '' }, outgoing) => {
    lookups += 1;
    const image = /\/image-(\d+)\//.exec(url)?.[1];
    const isKnown = image !== undefined && !(isBackupEmpty && url.startsWith('/v2/backup/'));
    outgoing.writeHead(isKnown ? 200 : 404, {
      'content-type': 'application/vnd.oci.image.index.v1+json',
      'content-length': '100',
      ...(isKnown && { 'docker-content-digest': digestOf(image) }),
    });
    outgoing.end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    lookups: () => lookups,
    emptyBackup() {
      isBackupEmpty = true;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function referenceOf(index: number): ObjectReference & { readonly namespace: string } {
  const namespace = `scale-${index % NAMESPACES}`;
  return { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: `web-${index}` };
}

/** Words that stand for others in patterns. */
const SAMPLE = {
  namespace: 'sample-namespace',
  name: 'sample-workload',
  podName: 'sample-pod',
  image: 'sample',
  deploymentUid: 'sample-deployment-uid',
  replicaSetUid: 'sample-replica-set-uid',
} as const;

interface Pattern {
  readonly text: string;
  readonly uid: string;
}

interface Patterns {
  readonly deployment: Pattern;
  readonly replicaSet: Pattern;
  readonly pod: Pattern;
}

/** As the API server keeps it, with what it adds: defaults, volumes of tokens, and who manages which field. */
async function makePattern(kube: Kube, { object, status }: ObjectAndStatus): Promise<Pattern> {
  const reference = referenceTo(await kube.create(object));
  const made = await kube.patch(
    reference,
    { status },
    { type: 'strategic', subresource: 'status', fieldManager: 'kubelet' },
  );
  await kube.delete(reference, { gracePeriodSeconds: 0 });
  const { resourceVersion: _, ...metadata } = made.metadata;
  return { text: JSON.stringify({ ...made, metadata }), uid: made.metadata.uid ?? '' };
}

async function makePatterns(kube: Kube, image: ImageOfWorkload): Promise<Patterns> {
  return {
    deployment: await makePattern(kube, createDeployment(SAMPLE, image)),
    replicaSet: await makePattern(kube, createReplicaSet(SAMPLE, image, SAMPLE.deploymentUid)),
    pod: await makePattern(kube, createPod(SAMPLE, image, SAMPLE.replicaSetUid)),
  };
}

function wordsOfImage(index: number): Readonly<Record<string, string>> {
  const image = String(index % IMAGES);
  const [, sample = ''] = digestOf(SAMPLE.image).split(':');
  const [, digest = ''] = digestOf(image).split(':');
  return { [`image-${SAMPLE.image}`]: `image-${image}`, [sample]: digest };
}

/** A Deployment, its ReplicaSet and its pods. */
function fillInAll(patterns: Patterns, index: number): readonly StoredObject[] {
  const { namespace, name } = referenceOf(index);
  const [deploymentUid, replicaSetUid] = [newUid(), newUid()];
  const common = {
    ...wordsOfImage(index),
    [SAMPLE.namespace]: namespace,
    [SAMPLE.name]: name,
    [SAMPLE.deploymentUid]: deploymentUid,
    [SAMPLE.replicaSetUid]: replicaSetUid,
  };
  const fill = ({ text, uid }: Pattern, own: Readonly<Record<string, string>>): string =>
    fillIn(text, { ...common, [uid]: newUid(), ...own });
  const pods = Array.from({ length: REPLICAS }, (_, replica): StoredObject => {
    const podName = `${name}-${replica}`;
    return {
      key: `/registry/pods/${namespace}/${podName}`,
      text: fill(patterns.pod, { [SAMPLE.podName]: podName, 'node-1': `node-${index % 100}` }),
    };
  });
  return [
    {
      key: `/registry/deployments/${namespace}/${name}`,
      text: fill(patterns.deployment, { [patterns.deployment.uid]: deploymentUid }),
    },
    {
      key: `/registry/replicasets/${namespace}/${replicaSetNameOf(name)}`,
      text: fill(patterns.replicaSet, { [patterns.replicaSet.uid]: replicaSetUid }),
    },
    ...pods,
  ];
}

export async function createClusterOfMany({
  kube,
  etcdUrl,
}: Pick<ApiServer, 'kube' | 'etcdUrl'>): Promise<ClusterOfMany> {
  const registry = await startKnowingRegistry();
  const settings = {
    REGISTRY_PREFIX: `${registry.host}/backup`,
    INSECURE_REGISTRIES: registry.host,
    SOURCE_HOSTS: '*',
  };
  const namespaces = [
    SAMPLE.namespace,
    ...Array.from({ length: NAMESPACES }, (_, index) => `scale-${index}`),
  ];
  await forEach(namespaces, (name) =>
    kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
  );
  const account = { namespace: SAMPLE.namespace, name: 'default' };
  await kube.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: account });
  const swapped = await makePatterns(kube, toSwappedImage(registry.host, SAMPLE.image, settings));
  const originals = await makePatterns(kube, toOriginalImage(registry.host, SAMPLE.image));
  const store = async (patterns: Patterns, from: number, to: number): Promise<void> => {
    for (let start = from; start < to; start += BATCH) {
      const indexes = Array.from({ length: Math.min(BATCH, to - start) }, (_, index) => start + index);
      await storeObjects(
        etcdUrl,
        indexes.flatMap((index) => fillInAll(patterns, index)),
      );
    }
  };
  let grown = 0;
  return {
    settings,
    get lookups() {
      return registry.lookups();
    },
    async growTo(count) {
      await store(swapped, grown, count);
      grown = count;
    },
    async touch(count, round) {
      const indexes = Array.from({ length: count }, (_, index) => index);
      await forEach(
        indexes,
        (index) => kube.patch(referenceOf(index), { metadata: { annotations: { round } } }),
        TOUCH_CONCURRENCY,
      );
    },
    async undo() {
      registry.emptyBackup();
      await store(originals, 0, grown);
    },
    close: () => registry.close(),
  };
}
