import { expect, it } from 'vitest';

import { isInScope } from '../../src/workloads/scope.ts';

const SCOPE = { excludedNamespaces: ['kube-*', 'secret'], backupHost: 'registry.example.com' };
const web = (namespace: string, name = 'web') => ({ kind: 'Deployment', namespace, name }) as const;

it.each([
  ['shop', true],
  ['kube-system', false],
  ['secret', false],
  ['secrets', true],
  ['my-kube-system', true],
])('when namespace %s is looked at, in scope is %s', (namespace, expected) => {
  expect(isInScope(web(namespace), SCOPE)).toBe(expected);
});

it('never touches the namespace that serves the backup registry', () => {
  const scope = { ...SCOPE, backupHost: 'registry.tools.svc.cluster.local:5000' };
  expect(isInScope(web('tools'), scope)).toBe(false);
  expect(isInScope(web('registry'), scope)).toBe(true);
});

it('never touches itself, but its neighbours in the namespace', () => {
  const scope = { ...SCOPE, self: { namespace: 'backup', podName: 'image-backup-5d9c7b-x2x4q' } };
  expect(isInScope(web('backup', 'image-backup'), scope)).toBe(false);
  expect(isInScope(web('backup', 'image'), scope)).toBe(true);
  expect(isInScope(web('other', 'image-backup'), scope)).toBe(true);
});
