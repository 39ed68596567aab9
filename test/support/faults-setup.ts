import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';

import { changeSettings, installController, startController, type Controller } from './controller.ts';
import { aPullSecret, dockerConfigFor } from './docker-config.ts';
import { listEvents } from './events.ts';
import {
  startFaultyRegistry,
  type Fault,
  type FaultyRegistry,
  type FaultyRequest,
} from './faulty-registry.ts';
import type { ImageSpec } from './image-builder.ts';
import { referenceTo } from './kube.ts';
import type { Workload } from './objects.ts';
import type { Credentials } from './registry-accounts.ts';
import { waitForRollout } from './rollout.ts';
import { pushImage, type PushedImage } from './seed-images.ts';
import type { TestCluster } from './test-cluster.ts';
import { waitFor } from './wait-for.ts';
import { aDeployment } from './workload-builders.ts';

const PULL_SECRET = 'backup-registry';

/** A controller that reaches all its registries through faulty ones. */
export interface FaultSetup {
  readonly controller: Controller;
  /** In front of the backup of the cluster; its credentials are in `config.json` and in a pull secret. */
  readonly backup: FaultyRegistry;
  /** Each in front of the source of the cluster, with a host of its own: a host that is left alone is one test's. */
  readonly sources: readonly FaultyRegistry[];
  readonly prefix: string;
  readonly namespace: string;
  /** Has `config.json` of the controller. */
  readonly credentialsFolder: string;
  /** TMPDIR of the controller and its engine. */
  readonly temporaryFolder: string;
  /** A small image of its own, unless the test wants another; one that only `source` is asked for. */
  push(source: FaultyRegistry, repository: string, spec?: Partial<ImageSpec>): Promise<PushedImage>;
  deploy(image: PushedImage): Promise<Workload>;
  close(): Promise<void>;
}

export interface FaultSetupOptions {
  readonly cluster: TestCluster;
  /** Unique among the test files. */
  readonly name: string;
  readonly sources: number;
  readonly settings?: Readonly<Record<string, string>>;
  readonly environment?: NodeJS.ProcessEnv;
  /** In `config.json` for the sources; these take everything for right. */
  readonly sourceCredentials?: Credentials;
}

export async function startFaultSetup(options: FaultSetupOptions): Promise<FaultSetup> {
  const { cluster, name, settings, environment, sourceCredentials } = options;
  const { kube, processes } = cluster;
  const backup = await startFaultyRegistry(cluster.backup);
  const sources = await Promise.all(
    Array.from({ length: options.sources }, () => startFaultyRegistry(cluster.source)),
  );
  const prefix = `${backup.host}/${name}`;
  const namespace = await cluster.createNamespace(name);
  await kube.create(aPullSecret({ namespace, name: PULL_SECRET }, backup));
  await installController(cluster, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: [backup, ...sources].map(({ host }) => host).join(','),
    REQUEUE_AFTER: '1s',
    COPY_CONCURRENCY: '16',
    MAX_CONCURRENT_ROLLOUTS: '100',
    ...settings,
  });
  const logins = sourceCredentials
    ? sources.map((source) => ({ ...source, credentials: sourceCredentials }))
    : [];
  const credentialsFolder = await processes.createFolder('credentials');
  const temporaryFolder = await processes.createFolder('temporary');
  await writeFile(join(credentialsFolder, 'config.json'), dockerConfigFor([backup, ...logins]));
  const controller = await startController(cluster, {
    registries: [],
    args: [],
    environment: { DOCKER_CONFIG: credentialsFolder, TMPDIR: temporaryFolder, ...environment },
  });
  return {
    controller,
    backup,
    sources,
    prefix,
    namespace,
    credentialsFolder,
    temporaryFolder,
    async push({ host }, repository, spec = {}) {
      const pushed = await pushImage(cluster.source, {
        repository,
        tag: '1.0',
        spec: { format: 'oci-manifest', content: repository, ...spec },
      });
      return { ...pushed, host, reference: `${host}/${repository}:${pushed.tag}` };
    },
    deploy: ({ repository, reference }) =>
      kube.create(
        aDeployment({
          namespace,
          name: repository.replaceAll('/', '-'),
          images: [reference],
          pullSecrets: [PULL_SECRET],
        }),
      ),
    async close() {
      // The next test file finds the same ConfigMap.
      await changeSettings(kube, {
        COPY_TIMEOUT: null,
        COPY_CONCURRENCY: null,
        MAX_CONCURRENT_ROLLOUTS: null,
      });
      await controller.program.stop();
      await Promise.all([backup, ...sources].map((registry) => registry.close()));
    },
  };
}

/** The fault, for requests about one repository or its copy only. */
export function forImage({ repository }: PushedImage, fault: Fault): Fault {
  return { ...fault, when: (request) => isAbout(repository, request) && fault.when(request) };
}

/** What the controller and its engine, not the nodes, have asked about an image or its copy. */
export function listRequests(
  registry: FaultyRegistry,
  { repository }: PushedImage,
): readonly FaultyRequest[] {
  return registry.requests.filter(
    (request) => isAbout(repository, request) && request.client !== 'test-kubelet',
  );
}

function isAbout(repository: string, { path }: FaultyRequest): boolean {
  return path.includes(`/${repository}/`);
}

/** Returns the text of the event. */
export async function waitForCopyFailed(
  kube: TestCluster['kube'],
  workload: Workload,
  told: string,
): Promise<string> {
  let notes: readonly string[] = [];
  return waitFor(
    async () => {
      const events = await listEvents(kube, workload);
      notes = events.filter(({ reason }) => reason === 'CopyFailed').map(({ note }) => note);
      if (notes.length > 0 && !notes.some((note) => note.includes(told))) {
        throw new Error(`told so far: ${notes.join(' | ')}`);
      }
      return notes.find((note) => note.includes(told));
    },
    { what: `${workload.metadata.name} to be told "${told}"` },
  );
}

/** What a user does who has mended something and does not want to wait: `kubectl rollout restart`. */
export async function restart(kube: TestCluster['kube'], workload: Workload): Promise<void> {
  await waitForRollout(kube, workload);
  const annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z' };
  await kube.patch(referenceTo(workload), { spec: { template: { metadata: { annotations } } } });
}
