import { describe, expect, it } from 'vitest';

import { formatPodSelector } from '../../../src/kubernetes/pods/pod-selector.ts';
import { projectPod } from '../../../src/kubernetes/pods/pod-projection.ts';
import { projectWorkload } from '../../../src/kubernetes/workloads/projection.ts';

const METADATA = { namespace: 'shop', name: 'web', uid: 'u', resourceVersion: '7' };

function deployment(
  parts: { readonly metadata?: object; readonly spec?: object; readonly status?: object } = {},
): object {
  return { ...parts, metadata: { ...METADATA, ...parts.metadata } };
}

function podTemplate(spec: object): object {
  return { spec: { template: { spec } } };
}

describe('a workload', () => {
  it('keeps every place that names an image', () => {
    const spec = {
      containers: [{ name: 'app', image: 'nginx', imagePullPolicy: 'Always', env: [{ name: 'SECRET' }] }],
      initContainers: [{ name: 'prepare', image: 'busybox' }],
      volumes: [
        { name: 'models', image: { reference: 'quay.io/m/n:1', pullPolicy: 'Never' } },
        { name: 'scratch', emptyDir: {} },
      ],
    };
    expect(projectWorkload('Deployment', deployment(podTemplate(spec)))?.slots).toEqual([
      { place: 'containers', name: 'app', image: 'nginx', pullPolicy: 'Always' },
      { place: 'initContainers', name: 'prepare', image: 'busybox' },
      { place: 'volumes', name: 'models', image: 'quay.io/m/n:1', pullPolicy: 'Never' },
    ]);
  });

  it('knows which pull secrets the template names', () => {
    const imagePullSecrets = [{ name: 'mine' }, { name: 5 }, null, { name: 'ours' }];
    const object = deployment(podTemplate({ imagePullSecrets }));
    expect(projectWorkload('Deployment', object)?.pullSecrets).toEqual(['mine', 'ours']);
  });

  it('keeps annotations that mean something to it only', { tags: 'attack-annotation' }, () => {
    const annotations = {
      'backup-image-registry/status': '{}',
      'backup-image-registry-evil/status': 'x',
      'kubectl.kubernetes.io/last-applied-configuration': 'long',
      'backup-image-registry/number': 5,
      'backup-image-registry/endless': 'x'.repeat(100_000),
      'backup-image-registry/refresh': 'x'.repeat(100_000),
      ['__proto__']: 'x',
    };
    expect(projectWorkload('Deployment', deployment({ metadata: { annotations } }))?.annotations).toEqual({
      'backup-image-registry/status': '{}',
      'backup-image-registry/refresh': 'x'.repeat(200),
    });
  });

  it('knows what pods of its newest template are called by, once its status speaks of that', () => {
    const metadata = {
      ...METADATA,
      generation: 2,
      annotations: { 'deprecated.daemonset.template.generation': '5' },
    };
    const status = { observedGeneration: 2, updateRevision: 'web-abc' };
    expect(projectWorkload('StatefulSet', { metadata, status })?.newestTemplate).toBe('web-abc');
    const old = { ...status, observedGeneration: 1 };
    expect(projectWorkload('StatefulSet', { metadata, status: old })).not.toHaveProperty('newestTemplate');
    expect(projectWorkload('DaemonSet', { metadata, status: old })?.newestTemplate).toBe('5');
    expect(projectWorkload('Deployment', { metadata, status })).not.toHaveProperty('newestTemplate');
  });

  it('is a Deployment that keeps no revisions', () => {
    const project = (spec: object) => projectWorkload('Deployment', { metadata: METADATA, spec });
    expect(project({ revisionHistoryLimit: 0 })?.keepsNoRevisions).toBe(true);
    expect(project({ revisionHistoryLimit: 1 })).not.toHaveProperty('keepsNoRevisions');
    expect(project({})).not.toHaveProperty('keepsNoRevisions');
  });

  it.each([
    ['Deployment', { conditions: [{ type: 'Progressing', reason: 'NewReplicaSetAvailable' }] }, true],
    ['Deployment', { conditions: [{ type: 'Progressing', reason: 'ReplicaSetUpdated' }] }, false],
    ['Deployment', {}, undefined],
    ['StatefulSet', { currentRevision: 'a', updateRevision: 'a' }, true],
    ['StatefulSet', { currentRevision: 'a', updateRevision: 'b' }, false],
    ['DaemonSet', { currentRevision: 'a', updateRevision: 'a' }, undefined],
  ] as const)(
    'of the kind %s with %j knows that all pods were available once: %j',
    (kind, status, expected) => {
      const of = (observedGeneration: number) =>
        projectWorkload(kind, {
          metadata: { ...METADATA, generation: 2 },
          status: { ...status, observedGeneration },
        })?.rollout.completed;
      expect([of(2), of(1)]).toEqual([expected, undefined]);
    },
  );

  it('knows when somebody else last wrote into its template', () => {
    const entry = (manager: string, time: string, parts: object = {}) => ({
      manager,
      time,
      fieldsV1: { 'f:spec': { 'f:template': { 'f:metadata': {} } } },
      ...parts,
    });
    const managedFields = [
      entry('helm', '2026-01-01T00:00:01Z'),
      entry('backup-image-registry-controller', '2026-01-01T00:00:05Z'),
      entry('kubectl-edit', '2026-01-01T00:00:03Z'),
      entry('autoscaler', '2026-01-01T00:00:04Z', { fieldsV1: { 'f:spec': { 'f:replicas': {} } } }),
      entry('kubelet', '2026-01-01T00:00:04Z', { subresource: 'status' }),
    ];
    const projected = projectWorkload('Deployment', deployment({ metadata: { managedFields } }));
    expect(projected?.templateChangedAtMs).toBe(Date.parse('2026-01-01T00:00:03Z'));
  });

  it('keeps who owns its images, of all that managedFields has', () => {
    const fieldsV1 = {
      'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { x: { 'f:image': {} } } } } },
    };
    const managedFields = [{ manager: 'helm', operation: 'Apply', time: '2026-01-01T00:00:00Z', fieldsV1 }];
    const projected = projectWorkload('Deployment', deployment({ metadata: { managedFields } }));
    expect(projected?.imageOwners).toEqual([{ manager: 'helm', isApply: true }]);
    expect(JSON.stringify(projected)).not.toMatch(/f:spec/);
    expect(projectWorkload('Deployment', deployment())).not.toHaveProperty('imageOwners');
  });

  it('names the controller that owns it, not just any owner', () => {
    const ownerReferences = [
      { kind: 'Namespace', name: 'shop' },
      { kind: 'Rollout', name: 'web', controller: true },
    ];
    expect(projectWorkload('Deployment', deployment({ metadata: { ownerReferences } }))?.owner).toBe(
      'Rollout/web',
    );
    expect(projectWorkload('Deployment', deployment())).not.toHaveProperty('owner');
  });

  it('keeps no more than the reason for which it should only be copied', () => {
    const metadata = { labels: { 'kustomize.toolkit.fluxcd.io/name': 'apps' } };
    expect(projectWorkload('Deployment', deployment({ metadata }))).toMatchObject({ copyOnly: 'Flux' });
    const critical = podTemplate({ priorityClassName: 'system-node-critical', containers: [] });
    expect(projectWorkload('DaemonSet', deployment(critical))).toMatchObject({ copyOnly: 'node-critical' });
    expect(projectWorkload('Deployment', deployment(critical))).not.toHaveProperty('copyOnly');
  });

  it('says that a Deployment recreates its pods, and why they are refused', () => {
    const condition = {
      type: 'ReplicaFailure',
      status: 'True',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      message: 'exceeded quota',
    };
    const rolloutOf = (conditions: unknown) =>
      projectWorkload(
        'Deployment',
        deployment({ spec: { strategy: { type: 'Recreate' } }, status: { conditions } }),
      )?.rollout;
    expect(rolloutOf([{ type: 'Available', status: 'True' }, condition])).toMatchObject({
      recreate: true,
      refused: { sinceMs: Date.parse('2026-01-01T00:00:00Z'), message: 'exceeded quota' },
    });
    expect(rolloutOf([{ ...condition, status: 'False' }])).not.toHaveProperty('refused');
    expect(rolloutOf('hostile')).not.toHaveProperty('refused');
  });

  it('counts the pods of a Deployment', () => {
    const object = deployment({
      metadata: { generation: 4, deletionTimestamp: '2026-01-01T00:00:00Z' },
      spec: { replicas: 5, paused: true },
      status: { observedGeneration: 3, replicas: 6, updatedReplicas: 2, availableReplicas: 4 },
    });
    expect(projectWorkload('Deployment', object)?.rollout).toEqual({
      generation: 4,
      observedGeneration: 3,
      desired: 5,
      current: 6,
      updated: 2,
      available: 4,
      paused: true,
      terminating: true,
      onDelete: false,
      recreate: false,
    });
  });

  it('counts the pods of a DaemonSet', () => {
    const object = deployment({
      spec: { updateStrategy: { type: 'OnDelete' }, replicas: 99 },
      status: {
        desiredNumberScheduled: 3,
        currentNumberScheduled: 2,
        updatedNumberScheduled: 1,
        numberAvailable: 1,
      },
    });
    expect(projectWorkload('DaemonSet', object)?.rollout).toMatchObject({
      desired: 3,
      current: 2,
      updated: 1,
      available: 1,
      onDelete: true,
      recreate: false,
    });
  });

  it('counts the pods of a StatefulSet', () => {
    const status = { replicas: 3, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 1 };
    const rollout = (spec: object, more: object = {}) =>
      projectWorkload('StatefulSet', deployment({ spec, status: { ...status, ...more } }))?.rollout;
    expect(rollout({ replicas: 4 })).toMatchObject({ desired: 4, current: 3, updated: 2, available: 1 });
    expect(rollout({}, { availableReplicas: undefined })).toMatchObject({ desired: 1, available: 2 });
    const partition = (value: number) => ({
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: value } },
    });
    expect(rollout(partition(0))?.onDelete).toBe(false);
    expect(rollout(partition(2))?.onDelete).toBe(true);
    expect(rollout({ updateStrategy: { type: 'OnDelete' } })?.onDelete).toBe(true);
  });

  it('has the template of the Jobs of a CronJob, and counts those that run', () => {
    const template = podTemplate({ containers: [{ name: 'app', image: 'nginx' }] });
    const object = deployment({
      metadata: { generation: 3 },
      spec: { jobTemplate: template },
      status: { active: [{ name: 'web-1' }], lastScheduleTime: '2026-01-01T00:00:00Z' },
    });
    expect(projectWorkload('CronJob', object)).toMatchObject({
      slots: [{ place: 'containers', name: 'app', image: 'nginx' }],
      podSelector: 'job-name',
      rollout: {
        generation: 3,
        observedGeneration: 3,
        desired: 0,
        current: 1,
        startedAtMs: 1_767_225_600_000,
      },
    });
  });

  it('wants one pod when a Deployment does not say how many, none when it says none', () => {
    expect(projectWorkload('Deployment', deployment())?.rollout.desired).toBe(1);
    expect(projectWorkload('Deployment', deployment({ spec: { replicas: 0 } }))?.rollout.desired).toBe(0);
  });

  it('cannot come from an object without an identity', () => {
    expect(projectWorkload('Deployment', deployment({ metadata: { uid: 5 } }))).toBeUndefined();
    for (const raw of [undefined, null, 'text', [], {}, { metadata: [] }]) {
      expect(projectWorkload('Deployment', raw)).toBeUndefined();
    }
  });

  it('leaves out what has the wrong type instead of failing on it', { tags: 'attack-text' }, () => {
    const object = deployment({
      metadata: { annotations: ['x'], ownerReferences: { controller: true }, generation: '4' },
      spec: {
        replicas: 'many',
        selector: 7,
        template: {
          spec: { containers: [null, 1, {}, { name: 'a', image: 5 }], initContainers: 'x', volumes: [null] },
        },
      },
      status: null as unknown as object,
    });
    expect(projectWorkload('Deployment', object)).toMatchObject({
      slots: [],
      annotations: {},
      podSelector: '',
      rollout: { desired: 1, current: 0, generation: 0 },
    });
  });

  it('keeps an endless image short, and invalid', { tags: 'attack-size' }, () => {
    const spec = { containers: [{ name: 'app', image: `docker.io/x@sha256:${'a'.repeat(1_000_000)}` }] };
    const image = projectWorkload('Deployment', deployment(podTemplate(spec)))?.slots[0]?.image;
    expect(image).toMatch(/^docker\.io\/x@sha256:a{1000,} \(cut\)$/u);
    expect(image?.length).toBeLessThan(5_000);
  });
});

describe('a pod', () => {
  it('shows what runs in each container', () => {
    const raw = {
      metadata: { name: 'web-1' },
      spec: {
        containers: [
          { name: 'app', image: 'nginx' },
          { name: 'side', image: 'envoy' },
        ],
        initContainers: [{ name: 'prepare', image: 'busybox' }],
      },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ name: 'app', imageID: 'docker.io/library/nginx@sha256:1', image: 'sha256:2' }],
        initContainerStatuses: [{ name: 'prepare', imageID: 'docker.io/library/busybox@sha256:3' }],
      },
    };
    expect(projectPod(raw)).toEqual({
      name: 'web-1',
      createdAtMs: 0,
      ready: true,
      containers: [
        { name: 'app', image: 'nginx', imageId: 'docker.io/library/nginx@sha256:1' },
        { name: 'side', image: 'envoy', imageId: '' },
        { name: 'prepare', image: 'busybox', imageId: 'docker.io/library/busybox@sha256:3' },
      ],
    });
  });

  it.each([
    ['Ready', {}, [{ type: 'Ready', status: 'True' }], true],
    ['not Ready', {}, [{ type: 'Ready', status: 'False' }], false],
    ['without conditions', {}, undefined, false],
    [
      'on its way out',
      { deletionTimestamp: '2026-01-01T00:00:00Z' },
      [{ type: 'Ready', status: 'True' }],
      false,
    ],
  ])('that is %s', (_, metadata, conditions, ready) => {
    expect(projectPod({ metadata: { name: 'p', ...metadata }, status: { conditions } })?.ready).toBe(ready);
  });

  it.each([['Failed'], ['Succeeded']])('that is %s says nothing about the template of today', (phase) => {
    const conditions = [{ type: 'Ready', status: 'True' }];
    expect(projectPod({ metadata: { name: 'p' }, status: { phase, conditions } })).toMatchObject({
      ready: false,
      leaving: true,
    });
  });

  it('tells since when it has its node, since when it is not ready there, and why', () => {
    const conditions = [
      { type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-01-01T00:00:01Z' },
      {
        type: 'Ready',
        status: 'False',
        lastTransitionTime: '2026-01-01T00:00:02Z',
        message: 'unready: [app]',
      },
    ];
    expect(projectPod({ metadata: { name: 'p' }, status: { conditions } })).toMatchObject({
      scheduledAtMs: Date.parse('2026-01-01T00:00:01Z'),
      unreadySinceMs: Date.parse('2026-01-01T00:00:02Z'),
      unready: 'unready: [app]',
    });
    const pending = [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes: 1 Insufficient cpu.' }];
    expect(projectPod({ metadata: { name: 'p' }, status: { conditions: pending } })).toMatchObject({
      unscheduled: '0/1 nodes: 1 Insufficient cpu.',
    });
  });

  it.each([
    ['ReplicaSet', 'hash'],
    ['StatefulSet', 'revision'],
    ['DaemonSet', 'revision'],
    ['Job', undefined],
  ])('that a %s has made says of which template it is', (kind, expected) => {
    const labels = {
      'pod-template-hash': 'hash',
      'controller-revision-hash': 'revision',
      'pod-template-generation': '7',
    };
    const ownerReferences = [{ kind, name: 'x', uid: 'u', controller: true }];
    const pod = projectPod({ metadata: { name: 'p', labels, ownerReferences } });
    expect([pod?.template, pod?.templateGeneration]).toEqual([expected, '7']);
  });

  it('tells how often a container was started again, and which images it mounts', () => {
    const raw = {
      metadata: { name: 'p' },
      spec: {
        containers: [{ name: 'app', image: 'nginx' }],
        volumes: [{ name: 'models', image: { reference: 'models:1' } }],
      },
      status: { containerStatuses: [{ name: 'app', restartCount: 4 }] },
    };
    expect(projectPod(raw)).toMatchObject({
      containers: [{ restarts: 4 }],
      volumes: [{ name: 'models', image: 'models:1' }],
    });
  });

  it('tells when the controller last changed it in place', () => {
    const entry = (manager: string, minute: number) => ({
      manager,
      operation: 'Update',
      time: `2026-01-01T00:0${minute}:00Z`,
    });
    const ours = [1, 3, 2].map((minute) => entry('backup-image-registry-controller', minute));
    const replacedAtMsOf = (managedFields: unknown) =>
      projectPod({ metadata: { name: 'p', managedFields } })?.replacedAtMs;
    expect(replacedAtMsOf([...ours, entry('kubelet', 4)])).toBe(Date.parse('2026-01-01T00:03:00Z'));
    expect(replacedAtMsOf([entry('kubelet', 4)])).toBeUndefined();
    expect(replacedAtMsOf([{ ...ours[0], time: 'hostile' }])).toBeUndefined();
    expect(replacedAtMsOf('hostile')).toBeUndefined();
  });

  it('tells with which Secrets it pulls', () => {
    const imagePullSecrets = [{ name: 'account' }, { name: 7 }, {}];
    expect(projectPod({ metadata: { name: 'p' }, spec: { imagePullSecrets } })?.pullSecrets).toEqual([
      'account',
    ]);
  });

  it('cannot come from just anything', () => {
    expect([undefined, [], { metadata: {} }].map(projectPod)).toEqual([undefined, undefined, undefined]);
  });
});

describe('a pod selector', () => {
  it.each([
    [{ matchLabels: { app: 'web', tier: '' } }, 'app=web,tier='],
    [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['x', 'y'] }] }, 'a in (x,y)'],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['x'] }] }, 'a notin (x)'],
    [
      {
        matchLabels: { app: 'web' },
        matchExpressions: [
          { key: 'a', operator: 'Exists' },
          { key: 'b', operator: 'DoesNotExist' },
        ],
      },
      'app=web,a,!b',
    ],
  ])('%j reads %s', (selector, text) => {
    expect(formatPodSelector(selector)).toBe(text);
  });

  it.each([
    [undefined],
    [{}],
    [{ matchLabels: { app: 'web', odd: 5 } }],
    [{ matchLabels: { app: 'web' }, matchExpressions: [{ key: 'a', operator: 'Newer' }] }],
    [{ matchLabels: { app: 'web' }, matchExpressions: [{}] }],
  ])('%j selects nothing rather than too much', { tags: 'attack-text' }, (selector) => {
    expect(formatPodSelector(selector)).toBe('');
  });
});
