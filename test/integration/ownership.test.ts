/** To whom the image fields belong after a swap: the real Helm and kubectl go on working, and GitOps tools see us. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { installAndStart, kubectl, type Controller } from '../support/controller.ts';
import { helm, writeChart } from '../support/helm.ts';
import { referenceTo } from '../support/kube.ts';
import type { Workload } from '../support/objects.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, backup, images, processes } = cluster;
const OURS = 'backup-image-registry-controller';
const PREFIX = `${backup.host}/ownership`;
const ORIGINAL = images.multiPlatform.reference;
const COPY = copyOf(images.multiPlatform, PREFIX);
const NEXT = images.multiPlatformNext.reference;
const NEXT_COPY = copyOf(images.multiPlatformNext, PREFIX);

let controller: Controller;

beforeAll(async () => {
  controller = await installAndStart(cluster, 'ownership');
});

afterAll(async () => {
  await controller.program.stop();
});

function isOurs({ metadata }: Workload): boolean {
  const ours = metadata.managedFields?.find(({ manager }) => manager === OURS);
  return JSON.stringify(ours ?? {}).includes('f:image');
}

async function waitForRelease(workload: Workload): Promise<Workload> {
  return waitFor(
    async () => {
      const now = await read(kube, workload);
      return isOurs(now) ? undefined : now;
    },
    { what: 'the images to be given back' },
  );
}

describe('Helm 4', () => {
  it('upgrades after a swap, with the same chart and with a new image, which is swapped again', async () => {
    const namespace = await cluster.createNamespace();
    const web = aDeployment({ namespace, name: 'web', images: [ORIGINAL] });
    const chart = await writeChart(cluster, web);
    await helm(cluster, 'install', '-n', namespace, 'web', chart);
    const installed = await read(kube, web);
    expect(installed.metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: 'helm', operation: 'Apply' }),
    );
    const swapped = await waitForImages(kube, web, [COPY]);
    const released = await waitForRelease(web);
    expect(released.metadata.generation).toBe(swapped.metadata.generation);

    await helm(cluster, 'upgrade', '-n', namespace, 'web', chart);
    await waitForImages(kube, web, [COPY]);
    await waitForRelease(web);

    await helm(cluster, 'upgrade', '-n', namespace, 'web', chart, '--set', `image=${NEXT}`);
    await waitForImages(kube, web, [NEXT_COPY]);
    await waitForRelease(web);
    await helm(cluster, 'rollback', '-n', namespace, 'web', '1');
    await waitForImages(kube, web, [COPY]);
  });
});

describe('kubectl apply --server-side', () => {
  async function applyServerSide(workload: Workload): Promise<string> {
    const file = join(processes.folder, 'apply.json');
    await writeFile(file, JSON.stringify(workload));
    return (await kubectl(cluster, 'apply', '--server-side', '-f', file)).stdout;
  }

  it('applies after a swap what it applied before, and something new', async () => {
    const namespace = await cluster.createNamespace();
    const web = aDeployment({ namespace, images: [ORIGINAL] });
    await applyServerSide(web);
    await waitForImages(kube, web, [COPY]);
    await waitForRelease(web);
    expect(await applyServerSide(web)).toMatch(/serverside-applied/);
    await waitForImages(kube, web, [COPY]);
    await waitForRelease(web);
    await applyServerSide(aDeployment({ namespace, images: [NEXT] }));
    await waitForImages(kube, web, [NEXT_COPY]);
  });

  it('finds the images given back although the controller ended between the two patches', async () => {
    const namespace = await cluster.createNamespace();
    const web = aDeployment({ namespace, images: [ORIGINAL] });
    await applyServerSide(web);
    await waitForRelease(await waitForImages(kube, web, [COPY]));
    await controller.program.stop();
    // As the first patch leaves it.
    const template = { spec: { containers: [{ name: 'main', image: NEXT_COPY }] } };
    const options = { type: 'strategic', fieldManager: OURS } as const;
    const cut = await kube.patch<Workload>(referenceTo(web), { spec: { template } }, options);
    expect(isOurs(cut)).toBe(true);
    await expect(applyServerSide(web)).rejects.toThrow(/conflict with "backup-image-registry-controller"/);
    await controller.program.start();
    await waitForRelease(web);
    expect(imagesOf(await read(kube, web))).toEqual([NEXT_COPY]);
  });
});

describe.each(['argocd-controller', 'kustomize-controller'])('%s, which forces', (manager) => {
  const apply = async (workload: Workload, manifest: object = workload): Promise<Workload> =>
    kube.patch<Workload>(referenceTo(workload), manifest, {
      type: 'apply',
      fieldManager: manager,
      force: true,
    });

  it('sees that the image is ours, and has its own way with a new one', async () => {
    const namespace = await cluster.createNamespace();
    const web = await apply(aDeployment({ namespace, images: [ORIGINAL] }));
    const swapped = await waitForImages(kube, web, [COPY]);
    expect(isOurs(swapped)).toBe(true);
    await apply(aDeployment({ namespace, images: [NEXT] }));
    await waitForImages(kube, web, [NEXT_COPY]);
    expect(isOurs(await read(kube, web))).toBe(true);
  });

  it('told to leave the image out, changes all the rest and keeps the copy', async () => {
    const namespace = await cluster.createNamespace();
    const web = await apply(aDeployment({ namespace, images: [ORIGINAL] }));
    await waitForImages(kube, web, [COPY]);
    const manifest = aDeployment({ namespace, images: [ORIGINAL], replicas: 2 });
    const containers = [{ name: 'main', env: [{ name: 'A', value: 'b' }] }];
    const template = { ...manifest.spec.template, spec: { containers } };
    await apply(web, { ...manifest, spec: { ...manifest.spec, template } });
    const { spec: now } = await waitForImages(kube, web, [COPY]);
    expect([now.replicas, now.template.spec.containers[0]?.['env']]).toEqual([
      2,
      [{ name: 'A', value: 'b' }],
    ]);
  });
});
