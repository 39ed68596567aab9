/** A backup that the node has no credentials for, and a controller that hands out the Secret for it. */
import { join } from 'node:path';

import {
  CONTROLLER_NAMESPACE,
  installController,
  kubectl,
  ROOT,
  startController,
  type Controller,
} from '../controller.ts';
import { aPullSecret } from '../docker-config.ts';
import { referenceTo, type Kube } from '../kube.ts';
import type { AnyObject, Workload } from '../objects.ts';
import type { Credentials } from '../registry-accounts.ts';
import type { RegistryConnection } from '../registry.ts';
import { listLivingPods, waitingReasons } from '../rollout.ts';
import { waitFor } from '../wait-for.ts';
import { aDeployment, type WorkloadOptions } from '../workload-builders.ts';
import type { NodeTestCluster } from './node-test-cluster.ts';

const COMPONENT = join(ROOT, 'config/components/pull-secret/rbac.yaml');
/** Its value in all of these tests. */
export const PULL_SECRET = 'backup-image-registry-pull';

export interface LockedBackupOptions {
  /** Also the path below the backup. */
  readonly name: string;
  /** With the credentials of the controller. */
  readonly registry: RegistryConnection;
  /** What the Secret beside the controller holds at first. */
  readonly reader: Credentials;
}

export interface LockedBackup {
  readonly prefix: string;
  /** Puts the Secret beside the controller. */
  provide(credentials: Credentials): Promise<void>;
  /** Takes it away again. */
  withdraw(): Promise<void>;
  /** A Secret for the backup that is the user's own. */
  createSecret(namespace: string, name: string, credentials: Credentials): Promise<void>;
  /** The Secret that was handed out to a namespace. */
  findHandedOut(namespace: string): Promise<AnyObject | undefined>;
  /** Returns once the Secret in a namespace is the one beside the controller. */
  waitForHandOut(namespace: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startLockedBackup(
  cluster: NodeTestCluster,
  { name, registry, reader }: LockedBackupOptions,
): Promise<LockedBackup> {
  const { kube, source } = cluster;
  const prefix = `${registry.host}/${name}`;
  const secretIn = (namespace: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    namespace,
    name: PULL_SECRET,
  });
  const configIn = async (namespace: string): Promise<unknown> =>
    ((await kube.get(secretIn(namespace)))?.['data'] as Record<string, unknown> | undefined)?.[
      '.dockerconfigjson'
    ];
  const provide = async (credentials: Credentials): Promise<void> => {
    await kube.apply(
      aPullSecret({ namespace: CONTROLLER_NAMESPACE, name: PULL_SECRET }, { ...registry, credentials }),
    );
  };
  const controller = await install();

  async function install(): Promise<Controller> {
    await cluster.allowRegistry(registry);
    await installController(cluster, {
      REGISTRY_PREFIX: prefix,
      INSECURE_REGISTRIES: `${source.host},${registry.host}`,
      SOURCE_HOSTS: source.host,
      REQUEUE_AFTER: '1s',
      PULL_SECRET,
    });
    await kubectl(cluster, 'apply', '-f', COMPONENT);
    await provide(reader);
    return startController(cluster, { name, registries: [registry] });
  }

  return {
    prefix,
    provide,
    withdraw: () => kube.delete(secretIn(CONTROLLER_NAMESPACE)),
    async createSecret(namespace, secretName, credentials) {
      await kube.create(aPullSecret({ namespace, name: secretName }, { ...registry, credentials }));
    },
    findHandedOut: async (namespace) => kube.get(secretIn(namespace)),
    async waitForHandOut(namespace) {
      await waitFor(async () => (await configIn(namespace)) === (await configIn(CONTROLLER_NAMESPACE)), {
        what: `the Secret in ${namespace} to be the one beside the controller`,
      });
    },
    async stop() {
      await controller.program.stop();
      await kube.delete(secretIn(CONTROLLER_NAMESPACE));
      await kubectl(cluster, 'delete', '--ignore-not-found', '-f', COMPONENT);
    },
  };
}

/** One that keeps its old pods until new ones serve: a node that fails once has the time to try again. */
export async function deployRolling(kube: Kube, options: WorkloadOptions): Promise<Workload> {
  return kube.create(aDeployment(options));
}

/** One that is recreated: where nothing serves any more, the controller does not wait before it undoes a swap. */
export async function deployRecreated(kube: Kube, options: WorkloadOptions): Promise<Workload> {
  const plain = aDeployment(options);
  return kube.create({ ...plain, spec: { ...plain.spec, strategy: { type: 'Recreate' } } });
}

/** Names images that the controller is not to touch, whatever they are. */
export async function deployIgnored(kube: Kube, options: WorkloadOptions): Promise<Workload> {
  return kube.create(aDeployment({ ...options, annotations: { 'backup-image-registry/policy': 'ignore' } }));
}

export async function scale(kube: Kube, workload: Workload, replicas: number): Promise<void> {
  await kube.patch(referenceTo(workload), { spec: { replicas } });
}

/**
 * Waits until a container of the workload does not start for this reason, in the words of the kubelet. Not the first
 * that it gives: a kubelet that has not seen a Secret within a second pulls without it, and has it at the next try.
 */
export async function waitForPullFailure(kube: Kube, workload: Workload, expected: RegExp): Promise<void> {
  await waitFor(
    async () => {
      const failures = (await listLivingPods(kube, workload))
        .flatMap(waitingReasons)
        .map(({ reason, message }) => `${reason}: ${message}`);
      if (!failures.some((failure) => expected.test(failure))) {
        throw new Error(failures.join('\n') || 'no container waits');
      }
      return true;
    },
    { what: `a pod of ${workload.metadata.name} to fail with ${expected}` },
  );
}
