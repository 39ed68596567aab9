/**
 * The whole job on real parts: installs `config/default/` into a real control plane, lets the controller back up
 * what a few workloads run, kills the registry the images came from, and shows that new pods start all the same: on a real
 * node, where this machine can run one, they answer over HTTP.
 *
 * `--once` ends by itself: exit code 0 only if every image that should runs from the backup.
 */
import { once } from 'node:events';
import { parseArgs, styleText } from 'node:util';

import { installController, startController, type Controller } from '../support/controller.ts';
import { createNamespace } from '../support/namespaces.ts';
import { emptyImageCache, startNodeCluster, type NodeCluster } from '../support/node/node-cluster.ts';
import { askPod } from '../support/node/serving.ts';
import type { Pod, Workload } from '../support/objects.ts';
import { listPods, waitForRollout, waitingReasons } from '../support/rollout.ts';
import { waitFor } from '../support/wait-for.ts';
import { readProgress, type ProgressDeps } from './progress.ts';
import { Screen } from './screen.ts';
import { EXCLUDED_NAMESPACE, SCALED, createWorkloads } from './workloads.ts';

const LONGEST_FAILURE = 160;
const SCALED_REPLICAS = 4;

const screen = new Screen(process.stdout);

function title(text: string): void {
  screen.say(`\n${styleText('bold', text)}`);
}

async function startWorkloads(
  { controlPlane: { kube } }: NodeCluster,
  workloads: readonly Workload[],
): Promise<void> {
  const namespaces = new Set(workloads.map(({ metadata }) => metadata.namespace ?? ''));
  await Promise.all([...namespaces].map((name) => createNamespace(kube, name)));
  await Promise.all(workloads.map((workload) => kube.create(workload)));
  await Promise.all(workloads.map((workload) => waitForRollout(kube, workload)));
}

async function backUp(cluster: NodeCluster, prefix: string): Promise<Controller> {
  const { connection, controlPlane, processes, source, backup } = cluster;
  const deps = {
    tools: connection.tools,
    processes,
    kube: controlPlane.kube,
    connection: connection.kube,
    kubeconfigFile: connection.kubeconfigFile,
  };
  await installController(deps, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    SOURCE_HOSTS: source.host,
  });
  return startController(deps, { registries: [backup] });
}

/** Shows how it goes until every slot runs from the backup. */
async function watchProgress(deps: ProgressDeps, workloads: readonly Workload[]): Promise<void> {
  await waitFor(
    async () => {
      const rows = await readProgress(deps, workloads);
      screen.show(rows);
      return rows.every(({ stage }) => stage === 'running' || stage === 'left alone');
    },
    { what: 'every image to run from the backup', pollMs: 150 },
  );
}

function shorten(text: string): string {
  return text.length > LONGEST_FAILURE ? `${text.slice(0, LONGEST_FAILURE)}…` : text;
}

/** A pod of the excluded namespace, which has no copy to start from: what happens without a backup. */
async function waitForFailure(cluster: NodeCluster, provisioner: Workload): Promise<string> {
  const { reason, message = '' } = await waitFor(
    async () =>
      (await listPods(cluster.controlPlane.kube, provisioner))
        .flatMap(waitingReasons)
        .find((waiting) => waiting.reason === 'ImagePullBackOff'),
    { what: 'a pod without a copy to fail' },
  );
  return shorten(`${reason}: ${message}`);
}

async function scaleUp(cluster: NodeCluster, workload: Workload, replicas: number): Promise<void> {
  const { kind, apiVersion, metadata } = workload;
  const { name, namespace = '' } = metadata;
  await cluster.controlPlane.kube.patch({ apiVersion, kind, name, namespace }, { spec: { replicas } });
}

function findWorkload(workloads: readonly Workload[], test: (workload: Workload) => boolean): Workload {
  const found = workloads.find(test);
  if (!found) {
    throw new Error('the demo has no such workload');
  }
  return found;
}

async function showOutage(
  cluster: NodeCluster,
  progress: ProgressDeps,
  workloads: readonly Workload[],
): Promise<void> {
  const { kube } = cluster.controlPlane;
  const web = findWorkload(workloads, ({ metadata }) => metadata.name === SCALED);
  const provisioner = findWorkload(workloads, ({ metadata }) => metadata.namespace === EXCLUDED_NAMESPACE);
  const before = new Set((await listPods(kube, web)).map(({ metadata }) => metadata.uid));
  await cluster.source.stop();
  await emptyImageCache(kube, cluster.connection.node);
  await scaleUp(cluster, web, SCALED_REPLICAS);
  await scaleUp(cluster, provisioner, 2);
  const failure = await waitForFailure(cluster, provisioner);
  await waitForRollout(kube, web);
  const [row] = await readProgress(progress, [web]);
  if (row?.stage !== 'running' || row.pods !== `${SCALED_REPLICAS}/${SCALED_REPLICAS}`) {
    throw new Error(`shop/${SCALED} does not run from the backup: ${row?.stage}, ${row?.pods} pods`);
  }
  screen.say(`  without a copy  ${EXCLUDED_NAMESPACE}/provisioner  ${styleText('red', failure)}`);
  const story = `Running: ${row.pods} pods, from ${row.to}`;
  screen.say(`  with a copy     shop/${SCALED}  ${styleText('green', story)}`);
  const started = (await listPods(kube, web)).filter(({ metadata }) => !before.has(metadata.uid));
  await showAnswers(cluster, started);
}

/** Of pods that have started since the source is dead and the cache empty: their image is from the backup, or from nowhere. */
async function showAnswers(cluster: NodeCluster, pods: readonly Pod[]): Promise<void> {
  for (const pod of cluster.connection.node ? pods : []) {
    const { content } = await askPod(pod);
    const answer = `"${content}", says http://${pod.status?.podIP}:8080/, ${pod.metadata.name}, a new pod`;
    screen.say(`  ${styleText('green', answer)}`);
  }
}

function tellWhatNext(cluster: NodeCluster, controller: Controller): void {
  const { kubeconfigFile, tools } = cluster.connection;
  title('What to look at next');
  screen.say(`  alias k='${tools.kubectl} --kubeconfig ${kubeconfigFile}'`);
  screen.say('  k get deployments,daemonsets -A -o wide');
  screen.say(`  k describe deployment -n shop ${SCALED}     # annotations and events`);
  const environment = `KUBECONFIG=${kubeconfigFile} DOCKER_CONFIG=${controller.credentialsFolder}`;
  screen.say(`  ${environment} make run ARGS=plan     # or map, or 'restore --dry-run'`);
  screen.say(`  curl ${controller.metricsUrl}`);
  screen.say(`  less ${controller.program.logFile}`);
}

async function runDemo(cluster: NodeCluster, isOnce: boolean): Promise<void> {
  const { images } = cluster.connection;
  const prefix = `${cluster.backup.host}/backup`;
  const workloads = createWorkloads(images);
  const digests = new Map(Object.values(images).map(({ reference, digest }) => [reference, digest]));
  const progress = { kube: cluster.controlPlane.kube, backup: cluster.backup, prefix, digests };

  title('1. Workloads run from the source registry');
  await startWorkloads(cluster, workloads);
  screen.show(await readProgress(progress, workloads));

  title('2. kubectl apply -f ./config/default/');
  const controller = await backUp(cluster, prefix);
  await watchProgress(progress, workloads);

  title('3. The source registry dies, the node loses what it had pulled, two workloads are scaled up');
  await showOutage(cluster, progress, workloads);

  if (isOnce) {
    title('Every image that should run from the backup does.');
    return;
  }
  tellWhatNext(cluster, controller);
  title('Ctrl-C ends it all.');
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
}

const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
title('Starting a control plane, nodes, and two registries');
const cluster = await startNodeCluster({
  onStep: (step) => screen.say(`  ${step}`),
  onFallback: (text) => screen.say(`  ${styleText('yellow', text.replaceAll('\n', ' '))}`),
});
try {
  await runDemo(cluster, values.once);
} catch (error) {
  screen.say(
    styleText('red', `\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`),
  );
  process.exitCode = 1;
} finally {
  await cluster.stop();
}
