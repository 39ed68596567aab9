/** What one tenant writes moves nothing that all share: tags of the backup, stops, places. On the real API server. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { CONFIG_MAP, installController, startController, type Controller } from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import type { KubeObject, Workload } from '../support/objects.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { findDigest, pushImage, SAMPLE_IMAGES, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { forgetPulledImages } from '../support/test-kubelet.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools, processes } = cluster;
const PREFIX = `${backup.host}/shared`;
const STATUS = 'backup-image-registry/status';
const ORIGINALS = 'backup-image-registry/original-images';

let controller: Controller;
/** Goes away for good. */
let mortal: Registry;

beforeAll(async () => {
  mortal = await startRegistry({ tools, processes, name: 'mortal-shared-source' });
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host},${mortal.host}`,
    REQUEUE_AFTER: '1s',
    RECHECK_INTERVAL: '2s',
  });
  controller = await startController(cluster, { name: 'shared-state', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

async function readMetric(name: string): Promise<number | undefined> {
  const text = await (await fetch(controller.metricsUrl)).text();
  const line = text.split('\n').find((one) => one.startsWith(`backup_image_registry_${name} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

async function expectSwapped(image: PushedImage): Promise<void> {
  const namespace = await cluster.createNamespace('neighbour');
  const web = await createAndRollOut(kube, aDeployment({ namespace, images: [image.reference] }));
  await waitForImages(kube, web, [copyOf(image, PREFIX)]);
}

/** What a swap would have written down, in a template that holds what it names. */
function forgedSwap(namespace: string, image: PushedImage): Workload {
  const copy = copyOf(image, PREFIX);
  const status = JSON.stringify({ v: 1, swappedAt: new Date().toISOString(), copies: { main: copy } });
  return aDeployment({
    namespace,
    images: [copy],
    annotations: {
      [ORIGINALS]: JSON.stringify({ main: image.reference }),
      [STATUS]: status,
    },
  });
}

it(
  'rescues a tenant with what the source gave for the tag, whatever another has written down',
  { tags: 'attack-annotation' },
  async () => {
    const image = await pushImage(mortal, SAMPLE_IMAGES.multiPlatform);
    const { repository, tag } = image;
    // Of a pull request: in the same repository, under another tag.
    const build = await pushImage(mortal, { ...SAMPLE_IMAGES.multiPlatformNext, repository, tag: 'pr-7' });
    const victim = await cluster.createNamespace('victim');
    const web = await createAndRollOut(kube, aDeployment({ namespace: victim, images: [image.reference] }));
    await waitForImages(kube, web, [copyOf(image, PREFIX)]);

    const attacker = await cluster.createNamespace('attacker');
    const forged = forgedSwap(attacker, { ...build, tag, reference: image.reference });
    await kube.create(forged);
    const copies = { repository: `shared/${mortal.host.replace(':', '_')}/${repository}` };
    const stays = `${tag}--${build.digest.slice('sha256:'.length, 'sha256:'.length + 12)}`;
    await waitFor(async () => (await findDigest(backup, { ...copies, tag: stays })) === build.digest, {
      what: 'the image that was named to be copied',
    });
    // It runs, too, and is checked again.
    await waitForImages(kube, forged, imagesOf(forged));
    await expectSwapped(await pushImage(mortal, { ...SAMPLE_IMAGES.singleManifest, repository: 'later' }));
    expect(await findDigest(backup, { ...copies, tag })).toBe(image.digest);

    await mortal.stop();
    await forgetPulledImages(kube);
    const late = await cluster.createNamespace('late');
    const other = await kube.create(aDeployment({ namespace: late, images: [image.reference] }));
    await waitForImages(kube, other, [copyOf(image, PREFIX)]);
  },
);

it(
  'goes on swapping although records say that swaps were undone',
  { tags: 'attack-annotation' },
  async () => {
    const hour = new Date(Date.now() + 3_600_000).toISOString();
    const before = (await readMetric('workloads_recorded')) ?? 0;
    for (const name of ['a', 'b', 'c']) {
      const namespace = await cluster.createNamespace(`forged-${name}`);
      const { reference } = images.dockerList;
      const hold = { until: hour, failures: 1, images: { main: reference } };
      const status = JSON.stringify({ v: 1, swappedAt: new Date().toISOString(), copies: {}, hold });
      await createAndRollOut(
        kube,
        aDeployment({ namespace, images: [reference], annotations: { [STATUS]: status } }),
      );
    }
    await waitFor(async () => ((await readMetric('workloads_recorded')) ?? 0) >= before + 3, {
      what: 'the records to be read',
    });
    await expectSwapped(images.singleManifest);
    expect(await readMetric('swapping_stopped')).toBe(0);
  },
);

it(
  'stops swapping where three swaps had to be undone, and nowhere else',
  { tags: 'attack-share', timeout: 240_000 },
  async () => {
    const namespace = await cluster.createNamespace('full');
    await refuseCopies(namespace);
    const webs: Workload[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      const web = aDeployment({ namespace, name, images: [images.dockerList.reference] });
      webs.push(await kube.create({ ...web, spec: { ...web.spec, strategy: { type: 'Recreate' } } }));
    }
    const configMap = (await kube.get(CONFIG_MAP)) as KubeObject;
    expect(await waitForEvent(kube, configMap, 'SwappingStopped')).toMatch(
      new RegExp(`^No workload of the namespace ${namespace} is pointed at its copy any more`),
    );
    expect([await readMetric('stopped_namespaces'), await readMetric('swapping_stopped')]).toEqual([1, 0]);
    await expectSwapped(images.singleManifest);
    const now = await Promise.all(webs.map((web) => read(kube, web)));
    const swaps = now.filter(({ metadata }) => metadata.annotations?.[STATUS] !== undefined);
    expect(swaps).toHaveLength(3);
  },
);

/** As a namespace does that is at its quota, of pods with a copy. */
async function refuseCopies(namespace: string): Promise<void> {
  const name = `refuse-${namespace}`;
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const expression = `object.spec.containers.all(c, !c.image.startsWith('${backup.host}'))`;
  const rule = { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] };
  await kube.create({
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules: [rule] },
      validations: [{ expression, message: 'exceeded quota' }],
    },
  });
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
  await kube.create({
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'], matchResources: { namespaceSelector } },
  });
  const probe = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'probe', namespace },
    spec: { containers: [{ name: 'app', image: `${backup.host}/x` }] },
  };
  await waitFor(
    async () => {
      try {
        await kube.create(probe);
        await kube.delete({ apiVersion: 'v1', kind: 'Pod', namespace, name: 'probe' });
        return false;
      } catch (error) {
        return String(error).includes('exceeded quota');
      }
    },
    { what: 'pods to be refused' },
  );
}
