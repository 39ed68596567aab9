import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { installController, type InstallDeps } from '../../support/controller.ts';
import { createNamespace } from '../../support/namespaces.ts';
import type { Workload } from '../../support/objects.ts';
import { createProcesses, type Processes, type RunningProgram } from '../../support/processes.ts';
import { startTestKubelet } from '../../support/test-kubelet.ts';
import { readCpuTime } from '../cpu-time.ts';
import { forEach, type Laboratory } from '../laboratory.ts';
import { NAMESPACES, watchRollouts } from './workloads.ts';

const NODES = ['node-1', 'node-2'];
const CREATE_CONCURRENCY = 32;
/** Of one core, all programs of the control plane together. */
const QUIET_SHARE = 0.2;
const QUIET_LOOKS = 3;
const LOOK_MS = 500;
const SETTLE_DEADLINE_MS = 120_000;

/** A control plane with its controllers, and nodes; everything in a folder of its own. */
export interface BenchCluster {
  readonly controlPlane: ControlPlane;
  readonly processes: Processes;
  readonly deps: InstallDeps;
  stop(): Promise<void>;
}

/** Everything that is stored in a cluster: the data of its etcd. */
interface Snapshot {
  readonly etcdFolder: string;
}

const DATA_FOLDER = 'control-plane/etcd';

/** With what is in the snapshot, if there is one. Returns once nothing is left to do for the controllers. */
export async function startBenchCluster(
  { tools }: Pick<Laboratory, 'tools'>,
  snapshot?: Snapshot,
): Promise<BenchCluster> {
  const processes = createProcesses();
  try {
    await processes.createFolder('control-plane');
    if (snapshot) {
      await cp(snapshot.etcdFolder, join(processes.folder, DATA_FOLDER), { recursive: true });
    }
    const controlPlane = await startControlPlane({ tools, processes });
    const { kube, connection, kubeconfigFile } = controlPlane;
    const kubelet = await startTestKubelet({ kube, nodes: NODES.map((name) => ({ name })) });
    await waitUntilQuiet(controlPlane);
    return {
      controlPlane,
      processes,
      deps: { tools, processes, kube, connection, kubeconfigFile },
      async stop() {
        await kubelet.stop();
        await controlPlane.stop();
        await processes.close();
      },
    };
  } catch (error) {
    await processes.close();
    throw error;
  }
}

/** Nobody's time is to hold what was begun before it. */
async function waitUntilQuiet(controlPlane: ControlPlane): Promise<void> {
  const { etcd, apiServer, controllerManager, scheduler } = controlPlane;
  const programs = [etcd, apiServer, controllerManager, scheduler];
  const endsAtMs = performance.now() + SETTLE_DEADLINE_MS;
  let before = await readAll(programs);
  for (let quiet = 0; quiet < QUIET_LOOKS;) {
    await sleep(LOOK_MS);
    const now = await readAll(programs);
    quiet = now - before <= LOOK_MS * QUIET_SHARE ? quiet + 1 : 0;
    before = now;
    if (performance.now() > endsAtMs) {
      throw new Error('the control plane does not come to rest');
    }
  }
}

async function readAll(programs: readonly RunningProgram[]): Promise<number> {
  const times = await Promise.all(programs.map(({ pid }) => readCpuTime(pid)));
  return times.reduce((sum, { ownMs }) => sum + ownMs, 0);
}

/**
 * A cluster in which these workloads are rolled out and the manifests of the controller are installed, so that each run
 * begins with the same one, and within seconds.
 */
export async function prepareSnapshot(
  lab: Laboratory,
  { workloads, sourceHost }: { readonly workloads: readonly Workload[]; readonly sourceHost: string },
): Promise<Snapshot> {
  const cluster = await startBenchCluster(lab);
  const { kube } = cluster.deps;
  const watch = watchRollouts(kube, sourceHost);
  try {
    await installController(cluster.deps, {});
    await Promise.all(NAMESPACES.map((name) => createNamespace(kube, name)));
    await forEach(workloads, (workload) => kube.create(workload), CREATE_CONCURRENCY);
    await watch.all(new AbortController().signal);
    await waitUntilQuiet(cluster.controlPlane);
    await watch.stop();
    await cluster.controlPlane.stop();
    const etcdFolder = join(await lab.processes.createFolder('snapshot'), 'etcd');
    await cp(join(cluster.processes.folder, DATA_FOLDER), etcdFolder, { recursive: true });
    return { etcdFolder };
  } finally {
    await watch.stop();
    await cluster.stop();
  }
}
