/** Copies that the nodes can pull, and whose pods do not become ready all the same. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { followObjects } from '../support/follow.ts';
import { referenceTo } from '../support/kube.ts';
import type { PodSpec, Workload } from '../support/objects.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { listPodImages } from '../support/running-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { CRASHING_ANNOTATION, NEVER_READY_ANNOTATION } from '../support/test-kubelet.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment, aStatefulSet, isRolledOut } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images } = cluster;
const PREFIX = `${backup.host}/never-ready`;
const ORIGINAL = images.singleManifest.reference;
const COPY = copyOf(images.singleManifest, PREFIX);
const SLOW = { [NEVER_READY_ANNOTATION]: backup.host };
const CRASHING = { [CRASHING_ANNOTATION]: backup.host };

let controller: Controller;
let namespace: string;
/** Recovers while the other tests run: after an undo, that takes two minutes. */
let db: Workload;
let edits = 1;

beforeAll(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    REQUEUE_AFTER: '1s',
    ROLLOUT_TIMEOUT: '10s',
    WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet',
  });
  controller = await startController(cluster, { name: 'never-ready', registries: [backup] });
  const crashing = { images: [ORIGINAL], podAnnotations: CRASHING, replicas: 2 };
  const own = await cluster.createNamespace();
  db = await createAndRollOut(kube, aStatefulSet({ namespace: own, name: 'db', ...crashing }));
});

afterAll(async () => {
  await controller.program.stop();
});

beforeEach(async () => {
  namespace = await cluster.createNamespace();
  edits += 1;
  await changeSettings(kube, { COPY_CONCURRENCY: `${edits}` });
});

async function waitForTemplate(workload: Workload, image: string): Promise<void> {
  await waitFor(async () => imagesOf(await read(kube, workload))[0] === image, {
    what: `the template of ${workload.metadata.name} to name ${image}`,
  });
}

describe('a workload whose pods never become ready with the copy', () => {
  it('gets its originals back, and only then another of its namespace is swapped', async () => {
    const first = await createAndRollOut(
      kube,
      aDeployment({ namespace, name: 'first', images: [ORIGINAL], podAnnotations: SLOW }),
    );
    await waitForTemplate(first, COPY);

    const following = new AbortController();
    const seen: string[] = [];
    const see = (workload: Workload): void => {
      const isSwapped = imagesOf(workload)[0] === COPY;
      const state = isSwapped ? 'swapped' : isRolledOut(workload) ? 'serves' : 'rolls';
      const text = `${workload.metadata.name} ${state}`;
      if (seen.findLast((one) => one.startsWith(workload.metadata.name)) !== text) {
        seen.push(text);
      }
    };
    const query = { apiVersion: 'apps/v1', kind: 'Deployment', namespace };
    const handlers = { onObject: see, onGone: () => undefined };
    const followed = followObjects<Workload>({ kube, query }, handlers, following.signal);
    const next = await createAndRollOut(kube, aDeployment({ namespace, name: 'next', images: [ORIGINAL] }));

    expect(await waitForEvent(kube, first, 'SwapRolledBack')).toMatch(
      /because the pod first-\S+ with the copies does not become ready: containers with unready status: \[main\]\. The pods before/,
    );
    await waitForImages(kube, next, [COPY]);
    following.abort();
    await followed.catch(() => undefined);
    expect(imagesOf(await waitForRollout(kube, first))).toEqual([ORIGINAL]);
    expect(await listPodImages(kube, first)).toEqual([ORIGINAL]);
    const recovered = seen.lastIndexOf('first serves');
    expect(recovered, seen.join(', ')).toBeGreaterThan(seen.indexOf('first swapped'));
    expect(seen.indexOf('next swapped'), seen.join(', ')).toBeGreaterThan(recovered);
  });

  it.each([
    ['Deployment', { build: aDeployment, spec: { strategy: { type: 'Recreate' } } }],
    ['DaemonSet', { build: aDaemonSet, spec: {} }],
  ])('gets them back when it is a %s that crashes', async (_, { build, spec }) => {
    const plain = build({ namespace, images: [ORIGINAL], podAnnotations: CRASHING });
    const created = await createAndRollOut(kube, { ...plain, spec: { ...plain.spec, ...spec } });
    expect(await waitForEvent(kube, created, 'SwapRolledBack')).toMatch(
      /does not become ready: CrashLoopBackOff: back-off 10s restarting failed container=main pod=app-/,
    );
    const restored = await waitForRollout(kube, created);
    expect(imagesOf(restored)).toEqual([ORIGINAL]);
    expect(new Set(await listPodImages(kube, restored))).toEqual(new Set([ORIGINAL]));
  });
});

describe('a workload whose new pod finds no room', () => {
  const NODE_CPU = 1_000;
  const half = (name: string, annotations: Readonly<Record<string, string>> = {}): Workload => {
    const container = { name: 'main', image: ORIGINAL, resources: { requests: { cpu: `${NODE_CPU / 2}` } } };
    const podSpec: Partial<PodSpec> = {
      containers: [container],
      nodeSelector: { 'kubernetes.io/hostname': cluster.nodes[0] ?? '' },
    };
    return aDeployment({ namespace, name, images: [], annotations, podSpec });
  };

  it('keeps the copies in its template, and runs from them once there is room', async () => {
    const filler = await createAndRollOut(kube, half('filler', { 'backup-image-registry/policy': 'ignore' }));
    const waiting = await createAndRollOut(kube, half('waiting'));
    await waitForTemplate(waiting, COPY);
    // Swapped later, and given up before: the time of the other is over as well.
    const other = await cluster.createNamespace();
    const witness = aDeployment({ namespace: other, images: [ORIGINAL], podAnnotations: SLOW });
    await waitForEvent(kube, await createAndRollOut(kube, witness), 'SwapRolledBack');
    expect(imagesOf(await read(kube, waiting))).toEqual([COPY]);
    expect((await listPodImages(kube, waiting)).toSorted()).toEqual([COPY, ORIGINAL].toSorted());

    await kube.delete(referenceTo(filler));
    await waitForImages(kube, waiting, [COPY]);
    expect((await listEvents(kube, waiting)).map(({ reason }) => reason)).toEqual(['ImageSwapped']);
  });
});

it(
  'frees the crashing pod of a StatefulSet, which nobody else would replace',
  { timeout: 240_000 },
  async () => {
    expect(await waitForEvent(kube, db, 'SwapRolledBack')).toMatch(/does not become ready: CrashLoopBackOff/);
    await waitFor(async () => isRolledOut(await read(kube, db)), {
      what: 'the StatefulSet to be rolled out',
      deadlineMs: 180_000,
    });
    expect(imagesOf(await read(kube, db))).toEqual([ORIGINAL]);
    expect(await listPodImages(kube, db)).toEqual([ORIGINAL, ORIGINAL]);
    expect((await listEvents(kube, db)).map(({ reason }) => reason)).toContain('PodRestored');
  },
);
