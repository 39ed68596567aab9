import { expect, it } from 'vitest';

import { projectNamespace } from '../../../src/kubernetes/decode/namespace.ts';

function project(annotations: unknown): unknown {
  return projectNamespace({ metadata: { name: 'shop', annotations } });
}

it('keeps the policy of a namespace', () => {
  expect(project({ 'backup-image-registry/policy': 'copy', other: 'x' })).toEqual({
    namespace: 'shop',
    policy: 'copy',
  });
});

it('keeps nothing of a namespace without one', () => {
  expect(project({ other: 'x' })).toBeUndefined();
  expect(project(undefined)).toBeUndefined();
  expect(projectNamespace(null)).toBeUndefined();
});

it('keeps no more of an endless one than is needed to refuse it', { tags: 'attack-size' }, () => {
  expect(project({ 'backup-image-registry/policy': 'swap'.repeat(1000) })).toEqual({
    namespace: 'shop',
    policy: 'swap'.repeat(25),
  });
});
