import { join } from 'node:path';

import { copyOf, imagesOf, read } from '../backed-up.ts';
import type { Cluster } from '../cluster.ts';
import {
  CONTROLLER_LEASE,
  installController,
  startController,
  type Controller,
  type InstallDeps,
} from '../controller.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import type { KubeConnection } from '../kube-transport.ts';
import { createNamespace } from '../namespaces.ts';
import type { AnyObject, Workload } from '../objects.ts';
import { connectAsServiceAccount } from '../service-account.ts';
import { waitFor } from '../wait-for.ts';
import { aDeployment } from '../workload-builders.ts';
import { keepRunning, type KeptProgram } from './keep-running.ts';
import { type Mirror, startMirror } from './mirror-process.ts';

interface LeaseObject extends AnyObject {
  readonly spec: { readonly renewTime: string };
}

/** How the controller came through one fault. */
export interface FaultResult {
  readonly fault: string;
  /** Both from the end of the fault, in seconds. */
  readonly cacheEqual: string;
  readonly nextSwap: string;
  readonly restarts: number;
}

/** A controller and a mirror that are to survive what happens to the way to the API server. */
export interface Subject {
  readonly controller: Controller;
  readonly mirror: Mirror;
  readonly kubeconfigFile: string;
  /** Changes, deletes, creates and replaces objects, as they do in the life of a cluster. */
  churn(): Promise<void>;
  /**
   * Lets the fault happen, and returns when everything is as if it had not.
   *
   * @throws {Error} when that does not come to be.
   */
  endure(fault: string, happen: () => Promise<void>): Promise<FaultResult>;
  /** The lines of the controller that say why it was restarted, if it was. */
  readErrors(): Promise<string>;
  stop(): Promise<void>;
}

export interface SubjectOptions {
  readonly cluster: Cluster;
  /** Unique; names its namespace, files and programs. */
  readonly name: string;
  /** The way to the API server, without the token. */
  readonly through: KubeConnection;
  /** Writes the kubeconfig of controller and mirror; default: with the token in it. */
  readonly writeKubeconfig?: (file: string, connection: KubeConnection) => Promise<void>;
}

const LOG_TAIL_LINES = 25;
const SERVICE_ACCOUNT = { namespace: 'backup-image-registry', name: 'backup-image-registry-sa' };

export function installDepsOf({ tools, processes, controlPlane }: Cluster): InstallDeps {
  const { kube, connection, kubeconfigFile } = controlPlane;
  return { tools, processes, kube, connection, kubeconfigFile };
}

export async function startSubject(options: SubjectOptions): Promise<Subject> {
  const { cluster, name, through } = options;
  const deps = installDepsOf(cluster);
  const { source, backup } = cluster;
  await installController(deps, {
    REGISTRY_PREFIX: `${backup.host}/${name}`,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    MAX_CONCURRENT_ROLLOUTS: '100',
    LOG_LEVEL: 'debug',
  });
  await createNamespace(deps.kube, name);
  const kubeconfigFile = join(await cluster.processes.createFolder(`${name}-files`), 'kubeconfig.json');
  const account = await connectAsServiceAccount(deps, SERVICE_ACCOUNT);
  await (options.writeKubeconfig ?? writeKubeconfig)(kubeconfigFile, {
    ...account,
    ...through,
    token: account.token,
  });
  const mirrorFile = join(cluster.processes.folder, `${name}-mirror.json`);
  // Of the admin, because it reads ConfigMaps too.
  await writeKubeconfig(mirrorFile, { ...through, token: deps.connection.token });
  const mirror = await startMirror(cluster.processes, { name: `${name}-mirror`, kubeconfigFile: mirrorFile });
  const controller = await startController(deps, {
    name,
    registries: [backup],
    args: ['--leader-elect', `--kubeconfig=${kubeconfigFile}`],
    readyPage: '/healthz',
  });
  const kept = keepRunning(controller.program);
  const subject = new RunningSubject({ ...options, deps, mirror, controller, kept, kubeconfigFile });
  await subject.swapOne();
  return subject;
}

interface RunningParts extends SubjectOptions {
  readonly deps: InstallDeps;
  readonly mirror: Mirror;
  readonly controller: Controller;
  readonly kept: KeptProgram;
  readonly kubeconfigFile: string;
}

class RunningSubject implements Subject {
  readonly controller: Controller;
  readonly mirror: Mirror;
  readonly kubeconfigFile: string;
  readonly #parts: RunningParts;
  readonly #swapped: Workload[] = [];
  #churns = 0;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    this.controller = parts.controller;
    this.mirror = parts.mirror;
    this.kubeconfigFile = parts.kubeconfigFile;
  }

  async churn(): Promise<void> {
    const { kube } = this.#parts.deps;
    this.#churns += 1;
    const round = String(this.#churns);
    const reference = (name: string) =>
      ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: this.#parts.name, name }) as const;
    const create = (name: string) => {
      const { apiVersion, kind, namespace } = reference(name);
      return kube.apply({ apiVersion, kind, metadata: { namespace, name }, data: { round } });
    };
    await kube.delete(reference(`round-${this.#churns - 1}`));
    await create(`round-${round}`);
    await create('changed');
    await kube.delete(reference('replaced'));
    await create('replaced');
    for (const { metadata } of this.#swapped.slice(-3)) {
      await kube.patch(
        { apiVersion: 'apps/v1', kind: 'Deployment', namespace: this.#parts.name, name: metadata.name },
        // An annotation would count as a change of the generation.
        { metadata: { labels: { round } } },
      );
    }
  }

  async endure(fault: string, happen: () => Promise<void>): Promise<FaultResult> {
    const { deps, kept } = this.#parts;
    const restartsBefore = kept.restarts;
    await happen();
    const endedAtMs = performance.now();
    const elapsed = (): string => `${((performance.now() - endedAtMs) / 1_000).toFixed(1)} s`;
    // Also what changes afterwards has to be seen.
    await this.churn();
    const [nextSwap, cacheEqual] = await Promise.all([
      this.swapOne().then(elapsed),
      this.mirror.waitUntilEqual(deps.kube).then(elapsed),
    ]);
    await this.#waitForEmptyQueues();
    await this.#waitForLease();
    await this.#checkSwappedOnce();
    return { fault, cacheEqual, nextSwap, restarts: kept.restarts - restartsBefore };
  }

  async readErrors(): Promise<string> {
    const lines = (await this.controller.program.log()).split('\n');
    // Pino's levels from error on.
    return lines.filter((line) => /"level":"?(?:error|fatal|[56]0)/.test(line)).join('\n');
  }

  async stop(): Promise<void> {
    await this.#parts.kept.stop();
    await this.mirror.program.stop();
  }

  async swapOne(): Promise<void> {
    const { cluster, name, deps } = this.#parts;
    const image = cluster.images.singleManifest;
    const workload = await deps.kube.create(
      aDeployment({ namespace: name, name: `web-${this.#swapped.length + 1}`, images: [image.reference] }),
    );
    this.#swapped.push(workload);
    const expected = copyOf(image, `${cluster.backup.host}/${name}`);
    try {
      await waitFor(async () => imagesOf(await read(deps.kube, workload)).join() === expected, {
        what: `${workload.metadata.name} to be swapped`,
        deadlineMs: 90_000,
      });
    } catch (error) {
      const tail = (await this.controller.program.log()).trimEnd().split('\n').slice(-LOG_TAIL_LINES);
      throw new Error(`the controller does not go on; its log ends with:\n${tail.join('\n')}`, {
        cause: error,
      });
    }
  }

  /** Created once, and changed once by the controller: anything more would be a second swap. */
  async #checkSwappedOnce(): Promise<void> {
    const now = await Promise.all(this.#swapped.map((workload) => read(this.#parts.deps.kube, workload)));
    const wrong = now.filter(({ metadata }) => metadata.generation !== 2);
    if (wrong.length > 0) {
      throw new Error(`swapped more than once: ${wrong.map(({ metadata }) => metadata.name).join(', ')}`);
    }
  }

  /** Two faults in a row may cost a Lease that each of them spares: a renewal may be under way in vain since the first. */
  async #waitForLease(): Promise<void> {
    const { kube } = this.#parts.deps;
    const renewal = async () => (await kube.get<LeaseObject>(CONTROLLER_LEASE))?.spec.renewTime;
    const before = await renewal();
    await waitFor(async () => (await renewal()) !== before, { what: 'the Lease to be renewed' });
  }

  async #waitForEmptyQueues(): Promise<void> {
    await waitFor(
      async () => {
        const text = await (await fetch(this.controller.metricsUrl)).text();
        const depths = [...text.matchAll(/_workqueue_depth\{name="\w+"\} (\d+)/g)].map(([, depth]) =>
          Number(depth),
        );
        return depths.length >= 2 && depths.every((depth) => depth === 0);
      },
      { what: 'the queues to be empty' },
    );
  }
}
