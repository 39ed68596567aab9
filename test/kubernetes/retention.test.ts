import { describe, expect, it } from 'vitest';

import { createJsonLines } from '../../src/kubernetes/connection/json-lines.ts';
import { projectNamespace } from '../../src/kubernetes/decode/namespace.ts';
import { projectPod } from '../../src/kubernetes/pods/pod-projection.ts';
import { projectPullSecret } from '../../src/kubernetes/secrets/secret-client.ts';
import { projectFormerTemplate, projectWorkload } from '../../src/kubernetes/workloads/projection.ts';
import { measureKeptBytes } from '../support/heap.ts';

const OBJECTS = 100;
/** Whoever keeps what was cut off keeps a hundred times as much. */
const MOST_BYTES = 20_000;

/** Of its own for every use, as if it had come over the wire. */
function endless(): string {
  return JSON.parse(`"${'x'.repeat(1_000_000)}"`) as string;
}

function metadata(): object {
  return {
    namespace: 'shop',
    name: 'web',
    uid: 'u',
    resourceVersion: '7',
    labels: {
      app: endless(),
      'pod-template-hash': endless(),
      'backup-image-registry/pull-secret-of': 'shop',
    },
    annotations: {
      'backup-image-registry/policy': endless(),
      'backup-image-registry/refresh': endless(),
      'backup-image-registry/nobody-reads-this': endless(),
      'backup-image-registry/used-by': ','.repeat(999_999) + 'x'.repeat(20),
      'deprecated.daemonset.template.generation': endless(),
    },
    ownerReferences: [{ controller: true, kind: endless(), name: endless(), uid: 'owner' }],
    managedFields: [{ manager: endless(), operation: 'Apply', fieldsV1: OWNED }],
  };
}

const OWNED = { 'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { a: { 'f:image': {} } } } } } };

function podSpec(): object {
  return {
    containers: [{ name: endless(), image: endless(), imagePullPolicy: endless(), args: [endless()] }],
    volumes: [{ name: endless(), image: { reference: endless() } }],
    imagePullSecrets: [{ name: endless() }],
    nodeSelector: { 'kubernetes.io/arch': endless() },
  };
}

function workload(): object {
  const conditions = [{ type: 'ReplicaFailure', status: 'True', message: endless() }];
  return {
    metadata: metadata(),
    spec: { selector: { matchLabels: { app: endless() } }, template: { spec: podSpec() } },
    status: { conditions, updateRevision: endless() },
  };
}

function pod(): object {
  const state = { waiting: { reason: endless(), message: endless() } };
  return {
    metadata: metadata(),
    spec: podSpec(),
    status: {
      conditions: [
        { type: 'Ready', status: 'False', message: endless() },
        { type: 'PodScheduled', status: 'False', message: endless() },
      ],
      containerStatuses: [{ name: endless(), imageID: endless(), state }],
    },
  };
}

describe('memory of what others wrote', () => {
  it.each([
    ['a Deployment', () => projectWorkload('Deployment', workload())],
    ['a DaemonSet', () => projectWorkload('DaemonSet', workload())],
    ['a StatefulSet', () => projectWorkload('StatefulSet', workload())],
    ['a pod', () => projectPod(pod())],
    ['a ReplicaSet', () => projectFormerTemplate(workload(), 'owner')],
    ['a Namespace', () => projectNamespace({ metadata: metadata() })],
    ['a Secret', () => projectPullSecret({ metadata: metadata() }, 'shop')],
  ])('is not taken by what is cut off texts of %s', { tags: 'attack-size' }, (_, project) => {
    const keptBytes = measureKeptBytes(() => Array.from({ length: OBJECTS }, (): unknown => project()));
    expect(keptBytes / OBJECTS).toBeLessThan(MOST_BYTES);
  });

  it('is free of a line of a watch before the next one comes', { tags: 'attack-size' }, () => {
    const lines = createJsonLines((document) => Object.keys(document as object));
    const chunk = Buffer.from(`{"a":"${'x'.repeat(10_000_000)}"}\n{"b":1}\n`);
    const keptBytes = measureKeptBytes(() => {
      const read = lines.push(chunk)[Symbol.iterator]();
      expect(read.next().value).toEqual(['a']);
      return read;
    });
    expect(keptBytes).toBeLessThan(1_000_000);
  });
});
