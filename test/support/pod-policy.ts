/** Real policies that change the images of pods, as a mirror or a hardening webhook does. */
import { referenceTo, type Kube } from './kube.ts';
import type { KubeObject, Pod } from './objects.ts';
import { waitFor } from './wait-for.ts';

/** CEL for the image of the first container of a pod. */
const IMAGE = 'object.spec.containers[0].image';

/** What becomes of an image, as CEL. */
export const REWRITES = {
  /** Takes it from another host. */
  host: (from: string, to: string): string => `${IMAGE}.replace("${from}/", "${to}/")`,
  /** `repo:tag@digest` becomes `repo@digest`. */
  dropTag: (): string =>
    `${IMAGE}.matches("^.+:[^/@]+@") ` +
    `? ${IMAGE}.substring(0, ${IMAGE}.split("@")[0].lastIndexOf(":")) + "@" + ${IMAGE}.split("@")[1] : ${IMAGE}`,
  /** Runs something else altogether instead of what is of the host. */
  replaceAll: (host: string, image: string): string =>
    `${IMAGE}.startsWith("${host}/") ? "${image}" : ${IMAGE}`,
} as const;

export interface PodPolicy {
  /** Returns once it is not in force any more. */
  remove(): Promise<void>;
}

/**
 * What pods of a namespace have as their first image when they are created with this one: nothing is kept of them.
 *
 * @throws {KubeError} when they are refused.
 */
export async function previewImage(kube: Kube, namespace: string, image: string): Promise<string> {
  const pod = await kube.request<Pod>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods?dryRun=All`,
    body: aPod(namespace, image),
  });
  return pod.spec.containers[0]?.image ?? '';
}

export function aPod(namespace: string, image: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name: 'probe' },
    spec: { containers: [{ name: 'main', image }] },
  };
}

/**
 * Rewrites the image of every pod that is created in one namespace. Returns once it is in force.
 * `example` is an image that it changes.
 */
export async function startPodPolicy(
  kube: Kube,
  { namespace, rewrite, example }: { namespace: string; rewrite: string; example: string },
): Promise<PodPolicy> {
  const parts = describePolicy(namespace, rewrite);
  for (const part of parts) {
    await kube.create(part);
  }
  const isInForce = async (): Promise<boolean> => (await previewImage(kube, namespace, example)) !== example;
  await waitFor(isInForce, { what: 'the policy to be in force' });
  return {
    async remove() {
      for (const part of parts.toReversed()) {
        await kube.delete(referenceTo(part));
      }
      await waitFor(async () => !(await isInForce()), { what: 'the policy to be gone' });
    },
  };
}

function describePolicy(namespace: string, rewrite: string): readonly KubeObject[] {
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const metadata = { name: `rewrite-pods-${namespace}` };
  const expression = `[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: ${rewrite}}]`;
  const pods = { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] };
  const policy = {
    apiVersion,
    kind: 'MutatingAdmissionPolicy',
    metadata,
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: { resourceRules: [pods] },
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression } }],
    },
  };
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
  const binding = {
    apiVersion,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata,
    spec: { policyName: metadata.name, matchResources: { namespaceSelector } },
  };
  return [policy, binding];
}
