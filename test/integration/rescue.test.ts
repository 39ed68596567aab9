/** Workloads that are in trouble without a swap, or because of one, on the real API server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { waitForEvent } from '../support/events.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { waitForRollout } from '../support/rollout.ts';
import { pushImage, SAMPLE_IMAGES, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { forgetPulledImages } from '../support/test-kubelet.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, tools, processes } = cluster;
const PREFIX = `${backup.host}/rescue`;

let controller: Controller;
/** Goes away for good. */
let mortal: Registry;
let image: PushedImage;

beforeAll(async () => {
  mortal = await startRegistry({ tools, processes, name: 'mortal-source' });
  image = await pushImage(mortal, SAMPLE_IMAGES.multiPlatform);
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host},${mortal.host}`,
    REQUEUE_AFTER: '1s',
  });
  controller = await startController(cluster, { name: 'rescue', registries: [backup] });
});

afterAll(async () => {
  await controller.program.stop();
});

it('runs a new workload from the backup when the registry of its image is gone', async () => {
  const namespace = await cluster.createNamespace();
  const first = await kube.create(aDeployment({ namespace, images: [image.reference] }));
  await waitForImages(kube, await waitForRollout(kube, first), [copyOf(image, PREFIX)]);

  await mortal.stop();
  await forgetPulledImages(kube);
  const other = await cluster.createNamespace();
  const late = await kube.create(aDeployment({ namespace: other, images: [image.reference] }));
  await waitForImages(kube, late, [copyOf(image, PREFIX)]);
  expect(await waitForEvent(kube, late, 'Rescued')).toMatch(
    /^The original of main cannot be pulled \(\w+: .*\)\. Runs from the backup now: main from /,
  );
  await waitFor(async () => /result="rescued"\} 1/.test(await (await fetch(controller.metricsUrl)).text()), {
    what: 'the metric',
  });
});

describe('with a policy against the backup registry', () => {
  /** Denies objects of one namespace, once it is known to every part of the API server. */
  async function deny(namespace: string, rule: object, expression: string): Promise<void> {
    const name = `deny-${namespace}`;
    const apiVersion = 'admissionregistration.k8s.io/v1';
    await kube.create({
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: { resourceRules: [{ apiVersions: ['v1'], ...rule }] },
        validations: [{ expression, message: 'images of the backup are not wanted' }],
      },
    });
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
    await kube.create({
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name },
      spec: { policyName: name, validationActions: ['Deny'], matchResources: { namespaceSelector } },
    });
  }

  it('puts the originals back when the API server refuses the pods, quoting it', async () => {
    const namespace = await cluster.createNamespace();
    await deny(
      namespace,
      { apiGroups: [''], resources: ['pods'], operations: ['CREATE'] },
      `object.spec.containers.all(c, !c.image.startsWith('${backup.host}'))`,
    );
    await waitForDenial(namespace, 'Pod');
    const recreate = aDeployment({ namespace, images: [images.singleManifest.reference] });
    const web = await kube.create({
      ...recreate,
      spec: { ...recreate.spec, strategy: { type: 'Recreate' } },
    });
    expect(await waitForEvent(kube, web, 'SwapRolledBack')).toMatch(
      /because pods with the copies cannot be created: .*images of the backup are not wanted.*Make room/,
    );
    expect(imagesOf(await waitForRollout(kube, web))).toEqual([images.singleManifest.reference]);
  });

  it('asks once when the API server refuses the swap itself', async () => {
    const namespace = await cluster.createNamespace();
    await deny(
      namespace,
      { apiGroups: ['apps'], resources: ['deployments'], operations: ['CREATE', 'UPDATE'] },
      `object.spec.template.spec.containers.all(c, !c.image.startsWith('${backup.host}'))`,
    );
    await waitForDenial(namespace, 'Deployment');
    const web = await kube.create(aDeployment({ namespace, images: [images.singleManifest.reference] }));
    expect(await waitForEvent(kube, web, 'SwapDenied')).toMatch(/images of the backup are not wanted/);
    const before = await readDenials();
    // A change of the workload makes it be looked at again.
    await kube.patch(
      { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: 'app' },
      { metadata: { annotations: { touched: 'yes' } } },
    );
    await waitFor(async () => (await readPasses()) > before.passes, { what: 'one more pass' });
    expect((await readDenials()).denials).toBe(before.denials);
    expect(imagesOf(await read(kube, web))).toEqual([images.singleManifest.reference]);
  });

  async function waitForDenial(namespace: string, kind: 'Pod' | 'Deployment'): Promise<void> {
    const deployment = aDeployment({ namespace, name: 'probe', images: [`${backup.host}/x`] });
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'probe', namespace },
      spec: { containers: [{ name: 'app', image: `${backup.host}/x` }] },
    };
    await waitFor(
      async () => {
        try {
          const probe = await kube.create(kind === 'Pod' ? pod : deployment);
          await kube.delete({ apiVersion: probe.apiVersion, kind, namespace, name: 'probe' });
          return false;
        } catch (error) {
          return /not wanted/.test(String(error));
        }
      },
      { what: 'the policy to be in force' },
    );
  }

  async function readSum(pattern: RegExp): Promise<number> {
    const text = await (await fetch(controller.metricsUrl)).text();
    return text
      .split('\n')
      .filter((line) => pattern.test(line))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  const readPasses = async (): Promise<number> =>
    readSum(/^backup_image_registry_reconciles_total\{name="workloads"/);

  async function readDenials(): Promise<{ denials: number; passes: number }> {
    return { denials: await readSum(/swaps_total\{.*result="denied"/), passes: await readPasses() };
  }
});

describe('with a policy that takes images from a mirror', () => {
  const mirrored = (text: string): string => text.replace(backup.host, 'mirror.example');

  /** Rewrites the images of Deployments of one namespace that name the backup. */
  async function rewrite(namespace: string): Promise<void> {
    const name = `rewrite-${namespace}`;
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const value = `object.spec.template.spec.containers[0].image.replace("${backup.host}", "mirror.example")`;
    const path = '/spec/template/spec/containers/0/image';
    await kube.create({
      apiVersion,
      kind: 'MutatingAdmissionPolicy',
      metadata: { name },
      spec: {
        failurePolicy: 'Fail',
        reinvocationPolicy: 'Never',
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ['apps'],
              apiVersions: ['v1'],
              resources: ['deployments'],
              operations: ['CREATE', 'UPDATE'],
            },
          ],
        },
        mutations: [
          {
            patchType: 'JSONPatch',
            jsonPatch: {
              expression: `[JSONPatch{op: "replace", path: "${path}", value: ${value}}]`,
            },
          },
        ],
      },
    });
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
    await kube.create({
      apiVersion,
      kind: 'MutatingAdmissionPolicyBinding',
      metadata: { name },
      spec: { policyName: name, matchResources: { namespaceSelector } },
    });
  }

  async function waitForRewriting(namespace: string): Promise<void> {
    await waitFor(
      async () => {
        const wanted = `${backup.host}/x`;
        const probe = await kube.create(
          aDeployment({ namespace, name: 'probe', images: [wanted], replicas: 0 }),
        );
        await kube.delete({ apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: 'probe' });
        return imagesOf(probe)[0] === mirrored(wanted);
      },
      { what: 'the policy to be in force' },
    );
  }

  it('begins no swap of which it would make another, says so, and touches no pod', async () => {
    const namespace = await cluster.createNamespace();
    await rewrite(namespace);
    await waitForRewriting(namespace);
    const { reference } = images.singleManifest;
    const web = await kube.create(aDeployment({ namespace, images: [reference] }));
    expect(await waitForEvent(kube, web, 'SwapDenied')).toMatch(
      /admission would change the image of main to "mirror\.example\/\S+"/,
    );
    const now = await read(kube, web);
    expect(imagesOf(now)).toEqual([reference]);
    expect(now.metadata.generation).toBe(1);
  });
});
