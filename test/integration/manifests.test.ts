/** What users apply: `config/` on the real API server, with the real kubectl. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { listGranted, listUsed, readAuditLog, type AuditLine, type Rule } from '../support/audit.ts';
import { copyOf, waitForImages } from '../support/backed-up.ts';
import {
  changeSettings,
  CONFIG_MAP,
  CONTROLLER_NAMESPACE,
  installController,
  kubectl,
  ROOT,
  startController,
} from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import { createKube, referenceTo } from '../support/kube.ts';
import type { AnyObject, KubeObject, Workload } from '../support/objects.ts';
import { aPod } from '../support/pod-policy.ts';
import { startRegistry } from '../support/registry.ts';
import { waitForRollout } from '../support/rollout.ts';
import { connectAsServiceAccount } from '../support/service-account.ts';
import { keepParameters } from '../support/guard.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aCronJob, aDaemonSet, aDeployment, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source, backup, images, processes, tools } = cluster;
const CONFIG = join(ROOT, 'config');
const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: CONTROLLER_NAMESPACE,
  name: 'k8s-backup-image-registry-controller',
} as const;

function parseObjects(text: string): readonly AnyObject[] {
  return parseAllDocuments(text).map((document) => document.toJS() as AnyObject);
}

describe('config/default', () => {
  it('applies as a folder without a warning, and kubectl diff is empty afterwards', async () => {
    const folder = join(CONFIG, 'default');
    await kubectl(cluster, 'delete', '--ignore-not-found', '-f', folder);
    const applied = await kubectl(cluster, 'apply', '-f', folder);
    expect(applied.stderr).toBe('');
    expect(
      applied.stdout
        .trim()
        .split('\n')
        .every((line) => line.endsWith(' created')),
    ).toBe(true);
    // The API server and its controllers may still be adding to what was applied.
    await waitFor(async () => (await kubectl(cluster, 'diff', '-f', folder)).stdout === '', {
      what: 'kubectl diff to be empty',
    });
    // Its image is nowhere: no node is to go on trying.
    await kube.patch(DEPLOYMENT, { spec: { replicas: 0 } });
  });

  it('runs the controller as a pod that Pod Security calls restricted', async () => {
    const { spec } = (await kube.get<Workload>(DEPLOYMENT))?.spec.template ?? {};
    const path = `/api/v1/namespaces/${CONTROLLER_NAMESPACE}/pods?dryRun=All`;
    const tryPod = (change: object): Promise<unknown> => {
      const metadata = { name: 'try', namespace: CONTROLLER_NAMESPACE };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, ...change } };
      return kube.request({ method: 'POST', path, body: pod });
    };
    await tryPod({});
    await expect(tryPod({ hostNetwork: true })).rejects.toThrow(/violates PodSecurity/);
  });
});

describe('kustomize', () => {
  it('has the same objects as config/default', async () => {
    const { stdout } = await kubectl(cluster, 'kustomize', CONFIG);
    const files = ['deployment.yaml', 'rbac.yaml'].map((file) =>
      readFile(join(CONFIG, 'default', file), 'utf8'),
    );
    const plain = (await Promise.all(files)).flatMap(parseObjects);
    const byName = ({ kind, metadata }: AnyObject): string => `${kind} ${metadata.name}`;
    const sorted = (objects: readonly AnyObject[]) =>
      objects.toSorted((a, b) => byName(a).localeCompare(byName(b)));
    expect(sorted(parseObjects(stdout))).toEqual(sorted(plain));
  });

  it('moves everything to another namespace with the overlay of the example, which applies', async () => {
    const { stdout } = await kubectl(cluster, 'kustomize', join(ROOT, 'examples/overlay'));
    const objects = parseObjects(stdout);
    expect(stdout).not.toMatch(/^\s*(?:name|namespace): backup-image-registry$/m);
    const namespaces = objects.map(({ metadata }) => metadata.namespace).filter((name) => name !== undefined);
    expect(new Set(namespaces)).toEqual(new Set(['platform-backup']));
    // Its image is nowhere: without replicas no pod of it is started.
    const file = join(processes.folder, 'overlay.yaml');
    await writeFile(file, stdout.replace('replicas: 2', 'replicas: 0'));
    expect((await kubectl(cluster, 'apply', '-f', file)).stderr).toBe('');
    await kubectl(cluster, 'delete', '--wait=false', '-f', file);
  });
});

describe('config/components/pull-secret', () => {
  it('follows its overlay to another namespace', async () => {
    const overlay = await processes.createFolder('components');
    const bases = [CONFIG, join(CONFIG, 'components/pull-secret')].map((path) => relative(overlay, path));
    const resources = bases.map((path) => `  - ${path}\n`).join('');
    const text = `namespace: elsewhere\nresources:\n${resources}`;
    await writeFile(join(overlay, 'kustomization.yaml'), text);
    const { stdout } = await kubectl(cluster, 'kustomize', overlay);
    const subjects = parseObjects(stdout).flatMap(
      (object) => (object['subjects'] as readonly { readonly namespace: string }[] | undefined) ?? [],
    );
    expect(subjects.map(({ namespace }) => namespace)).toEqual(['elsewhere', 'elsewhere', 'elsewhere']);
  });
});

describe('config/components/pod-dry-run', () => {
  /** Tries to create a pod, for real, as the controller of an installation. */
  async function createPodAsController(namespace: string, query: string): Promise<unknown> {
    const account = { namespace, name: 'backup-image-registry-sa' };
    const asController = createKube(await connectAsServiceAccount(cluster, account));
    const path = `/api/v1/namespaces/default/pods${query}`;
    const body = aPod('default', images.singleManifest.reference);
    return asController.request({ method: 'POST', path, body }).finally(() => asController.close());
  }

  it('follows its overlay to another namespace, where it permits to try pods and not to create them', async () => {
    const namespace = 'moved-with-component';
    const overlay = await processes.createFolder('pod-dry-run');
    const [base, component] = [CONFIG, join(CONFIG, 'components/pod-dry-run')].map((path) =>
      relative(overlay, path),
    );
    const text = `namespace: ${namespace}\nresources:\n  - ${base}\ncomponents:\n  - ${component}\n`;
    await writeFile(join(overlay, 'kustomization.yaml'), text);
    const { stdout } = await kubectl(cluster, 'kustomize', overlay);
    const file = join(overlay, 'objects.yaml');
    await writeFile(file, stdout.replace('replicas: 2', 'replicas: 0'));
    expect((await kubectl(cluster, 'apply', '-f', file)).stderr).toBe('');
    expect((await kubectl(cluster, 'apply', '--server-side', '--force-conflicts', '-f', file)).stderr).toBe(
      '',
    );
    await waitFor(() => createPodAsController(namespace, '?dryRun=All'), { what: 'the permission' });
    const isRefused = async (): Promise<boolean> => {
      const error = await createPodAsController(namespace, '').then(
        () => kube.delete({ apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'probe' }),
        String,
      );
      return error !== undefined && error.includes('may only try to create pods');
    };
    await waitFor(isRefused, { what: 'the policy to be in force' });
    await kubectl(cluster, 'delete', '--wait=false', '-f', file);
  });

  it('applies without a warning, and is gone when it is deleted', async () => {
    const files = ['policy.yaml', 'rbac.yaml'].flatMap((file) => [
      '-f',
      join(CONFIG, 'components/pod-dry-run', file),
    ]);
    const applied = await kubectl(cluster, 'apply', ...files);
    expect(applied.stderr).toBe('');
    expect(applied.stdout.trim().split('\n')).toHaveLength(4);
    await waitFor(async () => (await kubectl(cluster, 'diff', ...files)).stdout === '', {
      what: 'kubectl diff to be empty',
    });
    await kubectl(cluster, 'delete', ...files);
  });
});

describe('config/components/guard', () => {
  const component = join(CONFIG, 'components/guard');

  it('follows its overlay to another namespace, with the ConfigMap that it reads', async () => {
    const overlay = await processes.createFolder('guard');
    const [base, guard] = [CONFIG, component].map((path) => relative(overlay, path));
    const text = `namespace: elsewhere\nresources:\n  - ${base}\ncomponents:\n  - ${guard}\n`;
    await writeFile(join(overlay, 'kustomization.yaml'), text);
    const objects = parseObjects((await kubectl(cluster, 'kustomize', overlay)).stdout);
    const namespaces = objects.flatMap(({ spec }) => {
      const { paramRef } = (spec ?? {}) as { readonly paramRef?: { readonly namespace: string } };
      return paramRef ? [paramRef.namespace] : [];
    });
    expect(namespaces).toEqual(['elsewhere']);
  });

  it('has every file of the folder that is applied without kustomize', async () => {
    const listed = parseObjects(await readFile(join(component, 'kustomization.yaml'), 'utf8'))[0]?.[
      'resources'
    ];
    expect(listed).toEqual(
      (await readdir(join(component, 'policies'))).map((file) => `policies/${file}`).toSorted(),
    );
  });

  it('applies without a warning, compiles for every kind, and is gone when it is deleted', async () => {
    const args = ['-f', join(component, 'policies')];
    await keepParameters(kube);
    expect((await kubectl(cluster, 'apply', ...args)).stderr).toBe('');
    const query = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy' };
    const isChecked = async (): Promise<readonly AnyObject[] | undefined> => {
      const found = (await kube.list(query)).filter(({ metadata }) =>
        metadata.name.startsWith('backup-image-registry-guard-'),
      );
      return found.every(({ status }) => (status as { typeChecking?: object } | undefined)?.typeChecking)
        ? found
        : undefined;
    };
    const policies = await waitFor(isChecked, { what: 'the types of the policies to be checked' });
    const warnings = policies.map(({ status }) => (status as { typeChecking: object }).typeChecking);
    expect(warnings).toEqual([{}, {}, {}, {}]);
    await kubectl(cluster, 'delete', ...args);
  });
});

describe('config/components/network-policy', () => {
  const file = join(CONFIG, 'components/network-policy/network-policy.yaml');
  interface Ports {
    readonly ports: readonly { readonly port: string | number }[];
  }
  interface NetworkPolicy extends AnyObject {
    readonly spec: {
      readonly podSelector: { readonly matchLabels: object };
      readonly ingress: readonly Ports[];
      readonly egress: readonly Ports[];
    };
  }
  const portsOf = (rules: readonly Ports[]): readonly (string | number)[] =>
    rules.flatMap(({ ports }) => ports.map(({ port }) => port));

  it('applies without a warning, for the pods and the ports of the Deployment', async () => {
    expect((await kubectl(cluster, 'apply', '-f', file)).stderr).toBe('');
    const [policy] = parseObjects(await readFile(file, 'utf8')) as readonly NetworkPolicy[];
    const objects = parseObjects(await readFile(join(CONFIG, 'default/deployment.yaml'), 'utf8'));
    const deployment = objects.find(({ kind }) => kind === 'Deployment') as unknown as Workload;
    const { metadata, spec } = deployment.spec.template;
    expect(metadata?.labels).toMatchObject(policy?.spec.podSelector.matchLabels ?? {});
    expect(policy?.metadata.namespace).toBe(deployment.metadata.namespace);
    const { ports } = spec.containers[0] as unknown as {
      readonly ports: readonly { readonly name: string }[];
    };
    expect(new Set(portsOf(policy?.spec.ingress ?? []))).toEqual(new Set(ports.map(({ name }) => name)));
    await kubectl(cluster, 'delete', '-f', file);
  });

  it(
    'lets nothing through to where metadata services of clouds answer',
    { tags: 'attack-registry' },
    async () => {
      const [policy] = parseObjects(await readFile(file, 'utf8')) as readonly NetworkPolicy[];
      expect(portsOf(policy?.spec.egress ?? [])).toEqual([53, 53, 443, 5000, 6443]);
      expect(policy?.spec.egress.every(({ ports }) => ports.length > 0)).toBe(true);
    },
  );

  it('follows its overlay to another namespace', async () => {
    const overlay = await processes.createFolder('network-policy');
    const bases = [CONFIG, join(CONFIG, 'components/network-policy')].map((path) => relative(overlay, path));
    const resources = bases.map((path) => `  - ${path}\n`).join('');
    await writeFile(join(overlay, 'kustomization.yaml'), `namespace: elsewhere\nresources:\n${resources}`);
    const objects = parseObjects((await kubectl(cluster, 'kustomize', overlay)).stdout);
    const policy = objects.find(({ kind }) => kind === 'NetworkPolicy');
    expect(policy?.metadata.namespace).toBe('elsewhere');
  });
});

describe('RBAC', () => {
  let asked: readonly AuditLine[];

  beforeAll(async () => {
    const prefix = `${backup.host}/rbac`;
    const locked = await startRegistry({ tools, processes, name: 'rbac', auth: true });
    await installController(cluster, {
      REGISTRY_PREFIX: prefix,
      INSECURE_REGISTRIES: `${source.host},${backup.host},${locked.host}`,
      WORKLOAD_KINDS: 'Deployment,DaemonSet,StatefulSet,CronJob',
    });
    const namespace = await cluster.createNamespace();
    await waitForPermissions();
    const startedAt = new Date();
    const { program } = await startController(cluster, { name: 'rbac', registries: [backup, locked] });
    const { reference } = images.dockerList;
    const copy = copyOf(images.dockerList, prefix);
    const builders = { web: aDeployment, agent: aDaemonSet, db: aStatefulSet };
    const workloads = Object.entries(builders).map(async ([name, build]) => {
      const workload = await kube.create(build({ namespace, name, images: [reference] }));
      return waitForImages(kube, await waitForRollout(kube, workload), [copy]);
    });
    const cronJob = await kube.create(aCronJob({ namespace, images: [reference] }));
    const [web, , db] = (await Promise.all(workloads)) as [Workload, Workload, Workload];
    await waitForEvent(kube, cronJob, 'ImageSwapped');
    // Whether somebody has gone back to an older revision is asked before the swap of a later one.
    const containers = [{ name: 'main', image: images.singleManifest.reference }];
    await kube.patch(
      referenceTo(web),
      { spec: { template: { spec: { containers } } } },
      { type: 'strategic' },
    );
    await waitForImages(kube, web, [copyOf(images.singleManifest, prefix)]);
    // Its nodes cannot pull from this one: that is undone, down to the pod.
    await changeSettings(kube, { REGISTRY_PREFIX: `${locked.host}/rbac`, WORKLOAD_KINDS: 'StatefulSet' });
    await waitForEvent(kube, db, 'PodRestored');
    // A platform that the nodes are not of: nothing is copied or swapped, and the nodes are asked for.
    await changeSettings(kube, {
      REGISTRY_PREFIX: prefix,
      WORKLOAD_KINDS: null,
      REQUEUE_AFTER: '5s',
      PLATFORMS: 'linux/mips64le',
    });
    const readAudit = () => readAuditLog(cluster.auditLogFile, { since: startedAt });
    await waitFor(async () => (await readAudit()).some(({ objectRef }) => objectRef?.resource === 'nodes'), {
      what: 'the controller to ask for the nodes',
    });
    await makeTheSameMistakeTwice();
    await program.stop();
    asked = await readAudit();
  });

  /** Roles take effect a moment after they were applied. */
  async function waitForPermissions(): Promise<void> {
    const account = { namespace: CONTROLLER_NAMESPACE, name: 'backup-image-registry-sa' };
    const asController = createKube(await connectAsServiceAccount(cluster, account));
    await waitFor(() => asController.list({ apiVersion: 'apps/v1', kind: 'Deployment' }), {
      what: 'the controller to be permitted its work',
    });
    asController.close();
  }

  /** The second time is told with a patch of the first event. */
  async function makeTheSameMistakeTwice(): Promise<void> {
    const configMap = (await kube.get(CONFIG_MAP)) as KubeObject;
    const isTold = async (times: number): Promise<boolean> => {
      const [event] = await listEvents(kube, configMap);
      return (
        ((event?.['series'] as { count: number } | undefined)?.count ?? 1) === times && event !== undefined
      );
    };
    for (const times of [1, 2]) {
      await changeSettings(kube, { NAMING: 'short' });
      await waitFor(() => isTold(times), { what: `ConfigInvalid to be told ${times} times` });
      await changeSettings(kube, { NAMING: null });
    }
  }

  it('grants everything that the controller asks for', () => {
    expect(asked.length).toBeGreaterThan(10);
    const isForbidden = ({ annotations }: AuditLine) =>
      annotations?.['authorization.k8s.io/decision'] === 'forbid';
    expect(asked.filter(isForbidden)).toEqual([]);
  });

  it('grants nothing that the controller does not ask for', async () => {
    const used = listUsed(asked);
    const objects = parseObjects(await readFile(join(CONFIG, 'default/rbac.yaml'), 'utf8'));
    const rules = objects.flatMap((object) => (object['rules'] as readonly Rule[] | undefined) ?? []);
    const granted = listGranted(rules);
    // Asked for only where the API server cannot stream the objects of a list (before 1.32).
    const isFallback = (text: string): boolean =>
      /^list (?:deployments\.apps|daemonsets\.apps|statefulsets\.apps|cronjobs\.batch|configmaps\.|namespaces\.)$/.test(
        text,
      );
    expect(granted.filter((text) => !used.has(text) && !isFallback(text))).toEqual([]);
    // Secrets are granted by a component, and asked for only by those who use it.
    const isComponent = (text: string): boolean => text.endsWith(' secrets.');
    expect([...used].filter((text) => !granted.includes(text) && !isComponent(text))).toEqual([]);
  });
});
