/** The way back: MODE=restore on the real API server, with the backup registry gone. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, read, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { referenceTo } from '../support/kube.ts';
import type { Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { waitForRollout } from '../support/rollout.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { NEVER_READY_ANNOTATION } from '../support/test-kubelet.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, images, tools, processes } = cluster;

let controller: Controller;
let backup: Registry;
let settings: Readonly<Record<string, string>>;
let copy: string;

beforeAll(async () => {
  backup = await startRegistry({ tools, processes, name: 'restore-backup' });
  copy = copyOf(images.dockerList, `${backup.host}/way-back`);
  settings = {
    MODE: 'swap',
    REGISTRY_PREFIX: `${backup.host}/way-back`,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    REQUEUE_AFTER: '1s',
    ROLLOUT_TIMEOUT: '5s',
    MAX_CONCURRENT_ROLLOUTS: '2',
    NAMESPACES_EXCLUDE_LIST: 'kube-*',
  };
  await installController(cluster, settings);
  controller = await startController(cluster, { name: 'restore', registries: [] });
});

afterAll(async () => {
  await controller.program.stop();
});

/** Annotations of this project, the user's own ones too. */
function ownAnnotations({ metadata }: Workload): readonly string[] {
  return Object.keys(metadata.annotations ?? {}).filter((key) => key.startsWith('backup-image-registry/'));
}

async function countDone(): Promise<number> {
  const lines = await controller.log();
  return lines.filter(({ message }) => String(message).startsWith('all restored')).length;
}

async function waitForCopies(workloads: readonly Workload[]): Promise<void> {
  await Promise.all(workloads.map(async (one) => waitForImages(kube, one, [copy])));
}

async function readRecorded(): Promise<string | undefined> {
  const text = await (await fetch(controller.metricsUrl)).text();
  return /^backup_image_registry_workloads_recorded (\d+)$/m.exec(text)?.[1];
}

it('gives every workload back what its user wrote, in whatever state it is, without a registry', async () => {
  const namespace = await cluster.createNamespace();
  const excluded = await cluster.createNamespace('excluded');
  const { reference } = images.dockerList;
  const one = { namespace, images: [reference] };
  const initImages = [images.singleManifest.reference];
  const recreate = aDeployment({ ...one, name: 'recreate' });
  const written = [
    aDeployment({ ...one, name: 'web', replicas: 2 }),
    aDaemonSet({ ...one, name: 'agent' }),
    { ...recreate, spec: { ...recreate.spec, strategy: { type: 'Recreate' } } },
    aDeployment({ ...one, name: 'paused' }),
    aDeployment({ ...one, name: 'idle' }),
    aDeployment({ ...one, name: 'stuck' }),
    aDeployment({ ...one, namespace: excluded, name: 'later-excluded' }),
  ];
  const before = await Promise.all(written.map(async (workload) => kube.create(workload)));
  const many = await kube.create(aDeployment({ ...one, name: 'many', initImages }));
  await waitForCopies(before);
  await waitForImages(kube, many, [copyOf(images.singleManifest, settings['REGISTRY_PREFIX'] ?? ''), copy]);
  const named = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', namespace, name });
  await kube.patch(named('paused'), { spec: { paused: true } });
  await kube.patch(named('idle'), { spec: { replicas: 0 } });
  await waitForRollout(kube, named('idle'));
  const mark = { metadata: { annotations: { [NEVER_READY_ANNOTATION]: 'true' } } };
  await kube.patch(named('stuck'), { spec: { template: mark } });
  await kube.patch(referenceTo(before[0] as Workload), {
    metadata: { annotations: { 'backup-image-registry/policy': 'ignore' } },
  });
  await backup.stop();

  await changeSettings(kube, { MODE: 'restore', NAMESPACES_EXCLUDE_LIST: 'kube-*,excluded-*' });
  await waitFor(async () => (await countDone()) === 1, {
    what: 'the log to say that all is restored',
  });
  expect(await readRecorded()).toBe('0');
  for (const old of [...before, many]) {
    const now = await read(kube, old);
    const { name } = now.metadata;
    const { spec, metadata } = now.spec.template;
    expect(`${name} ${JSON.stringify(spec)}`).toBe(`${name} ${JSON.stringify(old.spec.template.spec)}`);
    expect(metadata).toEqual({
      ...old.spec.template.metadata,
      ...(name === 'stuck' && mark.metadata),
    });
    expect(ownAnnotations(now)).toEqual(name === 'web' ? ['backup-image-registry/policy'] : []);
    expect(await waitForEvent(kube, now, 'ImageRestored')).toContain(`main from ${reference}`);
  }
  await waitForRollout(kube, before[0] as Workload);
});

it('swaps again at once when it is told to', async () => {
  await backup.start();
  const namespace = await cluster.createNamespace();
  const web = await kube.create(aDeployment({ namespace, images: [images.dockerList.reference] }));
  await waitForRollout(kube, web);
  expect((await read(kube, web)).metadata.generation).toBe(1);
  await changeSettings(kube, { MODE: 'swap' });
  await waitForCopies([web]);
  await changeSettings(kube, { MODE: 'restore' });
  await waitForImages(kube, web, [images.dockerList.reference]);
  await waitFor(async () => (await countDone()) === 2, { what: 'the log to say so again' });
  // Events are sent one after the other, and nothing waits for them.
  await waitForEvent(kube, web, 'ImageRestored');
  const reasons = (await listEvents(kube, web)).map(({ reason }) => reason);
  expect(reasons.toSorted()).toEqual(['ImageRestored', 'ImageSwapped']);
});
