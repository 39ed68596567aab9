import { expect, it } from 'vitest';

import { type WorkloadSigns, findCopyOnlyReason } from '../../src/workloads/copy-only.ts';

function find(signs: Partial<WorkloadSigns>): string | undefined {
  return findCopyOnlyReason({
    kind: 'Deployment',
    labels: {},
    annotations: {},
    priorityClassName: undefined,
    ...signs,
  });
}

it.each<[string, Partial<WorkloadSigns>]>([
  ['Flux', { labels: { 'kustomize.toolkit.fluxcd.io/name': 'apps' } }],
  ['OLM', { labels: { 'olm.owner': 'prometheus.v1' } }],
  ['OpenShift trigger', { annotations: { 'image.openshift.io/triggers': '[]' } }],
  ['Keel', { annotations: { 'keel.sh/policy': 'minor' } }],
  ['Keel', { labels: { 'keel.sh/policy': 'minor' } }],
  ['Argo CD Image Updater', { annotations: { 'argocd-image-updater.argoproj.io/image-list': 'a=b' } }],
  ['addon manager', { labels: { 'addonmanager.kubernetes.io/mode': 'Reconcile' } }],
  ['node-critical', { kind: 'DaemonSet', priorityClassName: 'system-node-critical' }],
])('copies only what shows the sign of: %s', (reason, signs) => {
  expect(find(signs)).toBe(reason);
});

it.each<[string, Partial<WorkloadSigns>]>([
  ['nothing special', {}],
  [
    'Helm through Flux, which corrects no drift unless told to',
    { labels: { 'helm.toolkit.fluxcd.io/name': 'web' } },
  ],
  ['an addon that is only made to exist', { labels: { 'addonmanager.kubernetes.io/mode': 'EnsureExists' } }],
  ['a priority, but is no DaemonSet', { priorityClassName: 'system-node-critical' }],
  ['a priority that a cluster can do without', { kind: 'DaemonSet', priorityClassName: 'high' }],
])('finds nothing against a swap in what shows the sign of: %s', (_, signs) => {
  expect(find(signs)).toBeUndefined();
});
