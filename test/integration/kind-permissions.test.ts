/** A role that lacks one kind, and the watch of pods, on the real API server. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  CONFIG_MAP,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import type { KubeObject } from '../support/objects.ts';
import { createAndRollOut, waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aDeployment, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images } = cluster;
const PREFIX = `${backup.host}/permissions`;
const ROLE = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  name: 'backup-image-registry-role',
} as const;

type Rule = Readonly<Record<'apiGroups' | 'resources' | 'verbs', readonly string[]>>;

let controller: Controller;
let rules: readonly Rule[];

beforeAll(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    WORKLOAD_KINDS: 'Deployment,StatefulSet',
    REQUEUE_AFTER: '1s',
  });
  rules = (await kube.get(ROLE))?.['rules'] as readonly Rule[];
  const less = rules.map(({ resources, verbs, ...rule }) => ({
    ...rule,
    resources: resources.filter((resource) => resource !== 'statefulsets'),
    verbs: resources.includes('pods') ? verbs.filter((verb) => verb !== 'watch') : verbs,
  }));
  await kube.patch(ROLE, { rules: less });
  controller = await startController(cluster, { name: 'permissions', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
  await changeSettings(kube, { WORKLOAD_KINDS: null });
});

it('manages the other kinds, says once what is missing, and goes on when it is granted', async () => {
  const namespace = await cluster.createNamespace('permissions');
  const { singleManifest } = images;
  const db = await createAndRollOut(
    kube,
    aStatefulSet({ namespace, name: 'db', images: [singleManifest.reference] }),
  );
  const web = await kube.create(aDeployment({ namespace, images: [singleManifest.reference] }));
  await waitForImages(kube, web, [copyOf(singleManifest, PREFIX)]);
  const configMap = (await kube.get(CONFIG_MAP)) as KubeObject;
  expect(await waitForEvent(kube, configMap, 'KindForbidden')).toMatch(
    /^Workloads of the kind StatefulSet are not managed: listing and watching statefulsets/,
  );
  expect(imagesOf(await read(kube, db))).toEqual([singleManifest.reference]);
  expect(await readRefused()).toEqual(['pods', 'statefulsets']);

  await kube.patch(ROLE, { rules });
  await waitForRollout(kube, db);
  await waitForEvent(kube, db, 'ImageSwapped');
  await waitForImages(kube, db, [copyOf(singleManifest, PREFIX)]);
  expect(await listEvents(kube, configMap)).toHaveLength(1);
  expect(await readRefused()).toEqual(['pods', 'statefulsets']);
});

/** What the log says is not permitted, once for every time it says so. */
async function readRefused(): Promise<readonly string[]> {
  const told = (await controller.log()).filter(({ message }) => String(message).startsWith('not permitted'));
  return told.map(({ resource }) => String(resource)).toSorted();
}
