/** The component that limits the controller's own account, on the real API server. */
import { join } from 'node:path';

import { CONTROLLER_NAMESPACE, kubectl, ROOT, type InstallDeps } from './controller.ts';
import { createKube, type Kube } from './kube.ts';
import { KubeError } from './kube-error.ts';
import { connectAsServiceAccount } from './service-account.ts';
import { waitFor } from './wait-for.ts';
import { aDeployment } from './workload-builders.ts';

const GUARD = join(ROOT, 'config/components/guard/policies');
const ACCOUNT = 'backup-image-registry-sa';

/** What whoever has stolen the controller's token can do. */
export async function stealToken(
  deps: Pick<InstallDeps, 'kube' | 'connection'>,
  namespace = CONTROLLER_NAMESPACE,
): Promise<Kube> {
  return createKube(await connectAsServiceAccount(deps, { namespace, name: ACCOUNT }));
}

/** Why the API server refuses a request; empty when it does not. */
export async function refusalOf(request: Promise<unknown>): Promise<string> {
  return request.then(
    () => '',
    (error: unknown) => {
      if (error instanceof KubeError && error.status === 403) {
        return error.message;
      }
      throw error;
    },
  );
}

/** One request for each policy, all of them dry runs, that only the guard refuses. */
function listProbes(thief: Kube, namespace: string): readonly (() => Promise<unknown>)[] {
  const tryOut = async (path: string, body: object, method = 'PATCH'): Promise<unknown> =>
    thief.request({
      method,
      path: `${path}?dryRun=All`,
      body,
      ...(method === 'PATCH' && { contentType: 'application/strategic-merge-patch+json' }),
    });
  const deployment = `/apis/apps/v1/namespaces/${namespace}/deployments/probe`;
  const containers = [{ name: 'main', image: 'foreign.example/x' }];
  const event = { apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: { generateName: 'probe-' } };
  return [
    async () => tryOut(deployment, { metadata: { labels: { probe: 'true' } } }),
    async () => tryOut(deployment, { spec: { template: { spec: { containers } } } }),
    async () =>
      tryOut(
        `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
        {
          ...event,
          eventTime: '2026-01-01T00:00:00.000000Z',
          reportingController: 'foreign.example/x',
          reportingInstance: 'x',
          action: 'Probe',
          reason: 'Probe',
          regarding: { kind: 'Namespace', name: namespace, namespace },
          type: 'Normal',
        },
        'POST',
      ),
  ];
}

/**
 * A policy about nothing that stays, with a ConfigMap for its parameter. When the last policy with such a parameter goes, the
 * API server stops to watch ConfigMaps for policies, and does not begin again before it is restarted: a guard that is applied
 * later would know the ConfigMaps of that moment.
 */
export async function keepParameters(kube: Kube): Promise<void> {
  const common = { apiVersion: 'admissionregistration.k8s.io/v1', metadata: { name: 'keep-parameters' } };
  const nothing = {
    apiGroups: ['none.test'],
    apiVersions: ['v1'],
    operations: ['CREATE'],
    resources: ['none'],
  };
  await kube.apply({
    ...common,
    kind: 'ValidatingAdmissionPolicy',
    spec: {
      failurePolicy: 'Ignore',
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      matchConstraints: { resourceRules: [nothing] },
      validations: [{ expression: 'true' }],
    },
  });
  await kube.apply({
    ...common,
    kind: 'ValidatingAdmissionPolicyBinding',
    spec: {
      policyName: 'keep-parameters',
      paramRef: { name: 'none', namespace: 'default', parameterNotFoundAction: 'Allow' },
      validationActions: ['Audit'],
    },
  });
}

/**
 * Applies the policies, and returns once the API server holds the account to each of them. `namespace` is one that the
 * controller does not look at.
 */
export async function installGuard(deps: InstallDeps, namespace: string): Promise<void> {
  await keepParameters(deps.kube);
  await kubectl(deps, 'apply', '-f', GUARD);
  await deps.kube.create(aDeployment({ namespace, name: 'probe', images: ['own.example/x'], replicas: 0 }));
  const thief = await stealToken(deps);
  for (const probe of listProbes(thief, namespace)) {
    // Before the roles of the account are known, RBAC refuses it.
    const isGuarded = async (): Promise<boolean> =>
      (await refusalOf(probe())).includes('backup-image-registry-guard');
    await waitFor(isGuarded, { what: 'the guard to be in force' });
  }
  thief.close();
}

export async function removeGuard(deps: InstallDeps): Promise<void> {
  await kubectl(deps, 'delete', '--ignore-not-found', '-f', GUARD);
}
