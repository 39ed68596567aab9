import { describe, expect, it } from 'vitest';

import { KINDS, KIND_NAMES } from '../../src/workloads/kinds.ts';
import { PERMISSION_REASONS, type PermissionReason } from './permission-reasons.ts';
import { compareGrants, formatPermissionsPage } from './permissions-page.ts';
import { listResources, readRoles, type Role } from './roles.ts';

const ROLE: Role = {
  file: 'config/default/rbac.yaml',
  kind: 'ClusterRole',
  name: 'sees',
  rules: [
    { apiGroups: ['apps'], resources: ['deployments'], resourceNames: ['web'], verbs: ['get', 'patch'] },
  ],
};
const REASON: PermissionReason = {
  file: ROLE.file,
  verbs: ['get', 'patch'],
  resources: ['deployments.apps'],
  names: ['web'],
  why: 'To see.',
};

describe('the manifests', () => {
  it.each(KIND_NAMES)('let the controller see and patch every %s', (kind) => {
    const { plural, apiVersion } = KINDS[kind];
    const name = `${plural}.${apiVersion.split('/')[0]}`;
    const rules = readRoles()
      .filter(({ file }) => file === 'config/default/rbac.yaml')
      .flatMap((role) => role.rules)
      .filter((rule) => listResources(rule).includes(name));
    expect(new Set(rules.flatMap(({ verbs }) => verbs))).toEqual(new Set(['list', 'watch', 'patch']));
  });

  it('have roles', () => {
    expect(readRoles().map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'ClusterRole backup-image-registry-pod-dry-run-role',
      'ClusterRole backup-image-registry-pull-secret-role',
      'ClusterRole backup-image-registry-role',
      'Role backup-image-registry-role',
    ]);
  });

  it('grant nothing without a reason, and the reasons are of nothing else', () => {
    const compared = compareGrants(readRoles(), PERMISSION_REASONS);
    expect(compared).toEqual({ unexplained: [], ungranted: [] });
  });
});

it('says what a role may do, and what for', () => {
  expect(formatPermissionsPage([ROLE], [REASON]).split('\n').slice(-6)).toEqual([
    'In every namespace, and for what is in none.',
    '',
    '| may | on | only the name | what for |',
    '| --- | --- | --- | --- |',
    '| get, patch | deployments.apps | `web` | To see. |',
    '',
  ]);
});

it.each<[string, PermissionReason, ReturnType<typeof compareGrants>]>([
  [
    'a verb',
    { ...REASON, verbs: ['get'] },
    { unexplained: ['patch deployments.apps named web'], ungranted: [] },
  ],
  [
    'another name',
    { ...REASON, verbs: ['get', 'patch'], names: ['db'] },
    {
      unexplained: ['get deployments.apps named web', 'patch deployments.apps named web'],
      ungranted: ['get deployments.apps named db', 'patch deployments.apps named db'],
    },
  ],
])('notices that reasons and rules differ by %s', (_, reason, { unexplained, ungranted }) => {
  const inFile = (grants: readonly string[]) => grants.map((grant) => `${ROLE.file}: ${grant}`);
  expect(compareGrants([ROLE], [reason])).toEqual({
    unexplained: inFile(unexplained),
    ungranted: inFile(ungranted),
  });
});
