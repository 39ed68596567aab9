import { expect, it } from 'vitest';

import { findWorkloadOfPod } from '../../../src/kubernetes/pods/pod-maker.ts';

function aPod(
  owner: { readonly kind: string; readonly name: string } | undefined,
  labels: Readonly<Record<string, string>> = {},
): unknown {
  const ownerReferences = owner ? [{ ...owner, uid: 'u', controller: true }] : [];
  return { metadata: { name: 'pod', namespace: 'shop', labels, ownerReferences } };
}

const HASH = { 'pod-template-hash': '5d4f8c7b9' };

it.each<[string, unknown, string]>([
  ['a ReplicaSet', aPod({ kind: 'ReplicaSet', name: 'web-5d4f8c7b9' }, HASH), 'Deployment/shop/web'],
  ['a DaemonSet', aPod({ kind: 'DaemonSet', name: 'agent' }), 'DaemonSet/shop/agent'],
  ['a StatefulSet', aPod({ kind: 'StatefulSet', name: 'db' }), 'StatefulSet/shop/db'],
  ['a run of a CronJob', aPod({ kind: 'Job', name: 'report-a-29400000' }), 'CronJob/shop/report-a'],
])('a pod of %s is one of its workload', (_, pod, key) => {
  expect(findWorkloadOfPod(pod)).toBe(key);
});

it.each<[string, unknown]>([
  ['nobody', aPod(undefined)],
  ['a Job that a person has created', aPod({ kind: 'Job', name: 'import' })],
  ['a ReplicaSet without a template of a Deployment', aPod({ kind: 'ReplicaSet', name: 'web' })],
  ['a ReplicaSet of another name', aPod({ kind: 'ReplicaSet', name: 'web-old' }, HASH)],
  [
    'a ReplicaSet that is only called by its template',
    aPod({ kind: 'ReplicaSet', name: '-5d4f8c7b9' }, HASH),
  ],
  ['a kind that is not known', aPod({ kind: 'Rollout', name: 'web' })],
  ['an owner whose name no workload can have', aPod({ kind: 'StatefulSet', name: 'a/b' })],
  ['an owner of a very long name', aPod({ kind: 'StatefulSet', name: 'a'.repeat(254) })],
  ['something that is no pod', { metadata: { ownerReferences: 'none', labels: 7 } }],
])('a pod of %s is of no workload', (_, pod) => {
  expect(findWorkloadOfPod(pod)).toBeUndefined();
});
