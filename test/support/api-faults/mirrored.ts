/** The lists that a mirror keeps. */
export const MIRRORED = [
  { resource: 'deployments', path: '/apis/apps/v1/deployments', apiVersion: 'apps/v1', kind: 'Deployment' },
  { resource: 'configmaps', path: '/api/v1/configmaps', apiVersion: 'v1', kind: 'ConfigMap' },
] as const;
