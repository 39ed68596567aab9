/** How fast swaps go, on the real API server: an install must not roll a whole cluster at once. */
import { afterEach, beforeEach, expect, it } from 'vitest';

import { copyOf, imagesOf, read } from '../support/backed-up.ts';
import {
  changeSettings,
  CONFIG_MAP,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { followObjects } from '../support/follow.ts';
import type { KubeObject, Workload } from '../support/objects.ts';
import { startRegistry, type RegistryConnection } from '../support/registry.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment, isRolledOut } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools, processes } = cluster;
const BUDGET = 5;

let controller: Controller | undefined;
let starts = 0;

async function start(registry: RegistryConnection, settings: Record<string, string>): Promise<Controller> {
  starts += 1;
  await installController(cluster, {
    REGISTRY_PREFIX: `${registry.host}/pace-${starts}`,
    INSECURE_REGISTRIES: `${source.host},${registry.host}`,
    REQUEUE_AFTER: '1s',
    ...settings,
  });
  controller = await startController(cluster, { name: `pace-${starts}`, registries: [registry] });
  return controller;
}

async function readMetric(name: string): Promise<number | undefined> {
  const text = await (await fetch(controller?.metricsUrl ?? '')).text();
  const line = text.split('\n').find((one) => one.startsWith(`backup_image_registry_${name} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

/** Of all Deployments, as the watch tells them in the order in which they happened. */
class RolloutLog {
  readonly rolling = new Set<string>();
  readonly swapped = new Set<string>();
  most = 0;
  /** Rollouts of one namespace while none there had ended. */
  mostUnproven = 0;
  readonly #copy: string;
  readonly #proven = new Set<string>();

  constructor(copy: string) {
    this.#copy = copy;
  }

  see(workload: Workload): void {
    const { uid = '', namespace = '' } = workload.metadata;
    if (imagesOf(workload).join() !== this.#copy) {
      return;
    }
    const id = `${namespace} ${uid}`;
    this.swapped.add(id);
    if (isRolledOut(workload)) {
      this.rolling.delete(id);
      this.#proven.add(namespace);
    } else {
      this.rolling.add(id);
    }
    this.most = Math.max(this.most, this.rolling.size);
    const first = [...this.rolling].filter((one) => one.startsWith(`${namespace} `));
    this.mostUnproven = Math.max(this.mostUnproven, this.#proven.has(namespace) ? 0 : first.length);
  }
}

const deployments = { apiVersion: 'apps/v1', kind: 'Deployment' };
let stopFollowing: AbortController;
let following: Promise<void> | undefined;

function follow(log: RolloutLog): void {
  const handlers = { onObject: (object: Workload) => log.see(object), onGone: () => undefined };
  following = followObjects({ kube, query: deployments }, handlers, stopFollowing.signal).catch(
    () => undefined,
  );
}

beforeEach(() => {
  stopFollowing = new AbortController();
});

afterEach(async () => {
  stopFollowing.abort();
  await following;
  await controller?.program.stop();
  await changeSettings(kube, { MAX_CONCURRENT_ROLLOUTS: null });
});

it(
  'rolls 60 Deployments of an install five at a time and each once, although it is killed in the middle',
  { timeout: 480_000 },
  async () => {
    const namespaces = await Promise.all(Array.from({ length: 4 }, () => cluster.createNamespace('pace')));
    const created = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const namespace = namespaces[index % 4] ?? '';
        const web = aDeployment({
          namespace,
          name: `web-${index}`,
          images: [images.singleManifest.reference],
        });
        // Otherwise most would be done before the next is begun.
        return kube.create({ ...web, spec: { ...web.spec, minReadySeconds: 1 } });
      }),
    );
    await Promise.all(created.map((web) => waitForRollout(kube, web)));
    const log = new RolloutLog(copyOf(images.singleManifest, `${backup.host}/pace-${starts + 1}`));
    follow(log);
    const { program } = await start(backup, { MAX_CONCURRENT_ROLLOUTS: `${BUDGET}` });
    await waitFor(() => log.swapped.size >= 20, { what: '20 swaps', deadlineMs: 90_000 });
    program.kill('SIGKILL');
    await program.ended;
    await program.start();
    await waitFor(() => log.swapped.size === 60 && log.rolling.size === 0, {
      what: 'all to run from the backup',
      deadlineMs: 120_000,
    });
    expect({ most: log.most, mostUnproven: log.mostUnproven }).toEqual({ most: BUDGET, mostUnproven: 1 });
    const done = await Promise.all(created.map((web) => read(kube, web)));
    const revisions = done.map(({ metadata }) => metadata.annotations?.['deployment.kubernetes.io/revision']);
    expect(new Set(revisions)).toEqual(new Set(['2']));

    // A restart, and an edit that changes no image: every workload is looked at again, none is written to.
    await program.stop();
    await program.start();
    await waitFor(async () => (await readMetric('images{state="verified"}')) === 1, {
      what: 'the copy to be found again',
    });
    await changeSettings(kube, { COPY_CONCURRENCY: '7' });
    await waitFor(async () => (await readMetric('config_reloads_total{result="applied"}')) === 2, {
      what: 'the edit to be taken',
    });
    await waitFor(async () => (await readMetric('workqueue_depth{name="workloads"}')) === 0, {
      what: 'all to be looked at',
    });
    const after = await Promise.all(created.map((web) => read(kube, web)));
    // It counts changes of the annotations, too.
    expect(after.map(({ metadata }) => metadata.generation)).toEqual(
      done.map(({ metadata }) => metadata.generation),
    );
  },
);

it('stops swapping after three that had to be undone, until the settings are edited', async () => {
  const locked = await startRegistry({ tools, processes, name: 'locked-for-all', auth: true });
  const webs: Workload[] = [];
  for (let index = 0; index < 5; index += 1) {
    const namespace = await cluster.createNamespace('stop');
    const recreate = aDeployment({ namespace, images: [images.dockerList.reference] });
    const spec = { ...recreate.spec, strategy: { type: 'Recreate' } };
    webs.push(await createAndRollOut(kube, { ...recreate, spec }));
  }
  const countTried = async (): Promise<number> => {
    const now = await Promise.all(webs.map((web) => read(kube, web)));
    return now.filter(({ metadata }) => (metadata.generation ?? 1) > 1).length;
  };
  const excluded = await listOtherNamespaces(webs);
  const { program } = await start(locked, {
    MAX_CONCURRENT_ROLLOUTS: '1',
    NAMESPACES_EXCLUDE_LIST: excluded.join(','),
  });
  const configMap = (await kube.get(CONFIG_MAP)) as KubeObject;
  expect(await waitForEvent(kube, configMap, 'SwappingStopped')).toMatch(
    /swaps in three namespaces in a row have failed/,
  );
  expect(await countTried()).toBe(3);

  await program.stop();
  await program.start();
  await waitFor(async () => (await readMetric('images{state="verified"}')) === 1, {
    what: 'the copy to be found again',
  });
  expect(await readMetric('swapping_stopped')).toBe(1);
  expect(await countTried()).toBe(3);

  await changeSettings(kube, { COPY_CONCURRENCY: '8' });
  await waitFor(async () => (await countTried()) === 5, {
    what: 'the others to be tried',
  });
  // Those that failed are held all the same.
  await Promise.all(webs.map((web) => waitForRollout(kube, web)));
  const generations = (await Promise.all(webs.map((web) => read(kube, web)))).map(
    ({ metadata }) => metadata.generation,
  );
  expect(generations).toEqual([3, 3, 3, 3, 3]);
});

/** Workloads of other tests would be rolled as well, and their swaps count. */
async function listOtherNamespaces(webs: readonly Workload[]): Promise<readonly string[]> {
  const ours = new Set(webs.map(({ metadata }) => metadata.namespace));
  const all = await kube.list({ apiVersion: 'v1', kind: 'Namespace' });
  return all.map(({ metadata }) => metadata.name).filter((name) => !ours.has(name));
}
