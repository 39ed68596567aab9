/** Objects for tests: a test mentions only what it is about. */
import type { AnyObject, Container, PodSpec, PodTemplate, Workload, WorkloadStatus } from './objects.ts';

export interface WorkloadOptions {
  readonly namespace: string;
  /** Default: `app`. */
  readonly name?: string;
  /** One container for each: `main`, then `extra-1`, …. */
  readonly images: readonly string[];
  /** `init-1`, `init-2`, …. */
  readonly initImages?: readonly string[];
  readonly replicas?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly podAnnotations?: Readonly<Record<string, string>>;
  readonly pullPolicy?: Container['imagePullPolicy'];
  /** Names of Secrets. */
  readonly pullSecrets?: readonly string[];
  /** Merged over the pod spec made from the rest. */
  readonly podSpec?: Partial<PodSpec>;
}

export function aDeployment({ replicas = 1, ...options }: WorkloadOptions): Workload {
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };
  return workload('Deployment', options, { replicas, strategy });
}

export function aDaemonSet(options: Omit<WorkloadOptions, 'replicas'>): Workload {
  return workload('DaemonSet', options, {});
}

/** Without volumes; its headless Service does not exist, which no controller minds. */
export function aStatefulSet({ replicas = 1, ...options }: WorkloadOptions): Workload {
  return workload('StatefulSet', options, { replicas, serviceName: 'none' });
}

export type CronJob = AnyObject & {
  readonly spec: {
    readonly jobTemplate: { readonly spec: { readonly template: PodTemplate } };
    readonly [field: string]: unknown;
  };
};

/** Runs by itself at New Year only, unless the spec says otherwise: see `startRun()`. */
export function aCronJob(
  options: Omit<WorkloadOptions, 'replicas'>,
  spec: Readonly<Record<string, unknown>> = {},
): CronJob {
  const { namespace, name = 'app' } = options;
  const podTemplate = { spec: { restartPolicy: 'OnFailure', ...podSpec(options) } } as const;
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { namespace, name },
    spec: {
      schedule: '0 0 1 1 *',
      concurrencyPolicy: 'Forbid',
      ...spec,
      jobTemplate: { spec: { template: podTemplate } },
    },
  };
}

function workload(
  kind: string,
  options: WorkloadOptions,
  extra: Readonly<Record<string, unknown>>,
): Workload {
  const { namespace, name = 'app', annotations, podAnnotations } = options;
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { namespace, name, labels, ...(annotations && { annotations }) },
    spec: {
      ...extra,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, ...(podAnnotations && { annotations: podAnnotations }) },
        spec: podSpec(options),
      },
    },
  };
}

function podSpec(options: WorkloadOptions): PodSpec {
  const { images, initImages = [], pullPolicy, pullSecrets = [] } = options;
  const container = (name: string, image: string): Container => ({
    name,
    image,
    ...(pullPolicy && { imagePullPolicy: pullPolicy }),
  });
  return {
    containers: images.map((image, index) => container(index === 0 ? 'main' : `extra-${index}`, image)),
    ...(initImages.length > 0 && {
      initContainers: initImages.map((image, index) => container(`init-${index + 1}`, image)),
    }),
    ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
    ...options.podSpec,
  };
}

/** All pods are of the current template, ready, and no older one is left. */
export function isRolledOut({ kind, metadata, spec, status }: Workload): boolean {
  if (!status || (status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    return false;
  }
  // Deployments and StatefulSets count alike.
  const counts =
    kind === 'DaemonSet' ? daemonSetCounts(status) : deploymentCounts(status, spec.replicas ?? 1);
  return counts.every((count) => count === counts[0]);
}

function deploymentCounts(status: WorkloadStatus, wanted: number): readonly number[] {
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  return [wanted, replicas, updatedReplicas, availableReplicas];
}

function daemonSetCounts(status: WorkloadStatus): readonly number[] {
  const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status;
  return [desiredNumberScheduled, updatedNumberScheduled, numberAvailable];
}
