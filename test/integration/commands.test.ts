/** What people type: the commands, run as programs against the real API server and real registries. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { parse } from 'smol-toml';
import { beforeAll, describe, expect, it } from 'vitest';

import { restore } from '../../src/cli/restore/restore.ts';
import { readAuditLog } from '../support/audit.ts';
import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { runCommand, type Ended } from '../support/command.ts';
import {
  changeSettings,
  CONTROLLER_NAMESPACE,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { dockerConfigFor } from '../support/docker-config.ts';
import type { Workload } from '../support/objects.ts';
import { readRequestLog } from '../support/registry-log.ts';
import { waitForRollout } from '../support/rollout.ts';
import { writeServiceAccountKubeconfig } from '../support/service-account.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDaemonSet, aDeployment, isRolledOut } from '../support/workload-builders.ts';

const startedAt = new Date();
const cluster = connectToCluster();
const { kube, source, backup, images, processes } = cluster;
const { multiPlatform, dockerList, singleManifest } = images;
const PREFIX = `${backup.host}/commands`;
const HOSTILE = '-h\n\u001B[31mdeployment/web   swap';

let namespace: string;
/** May look, and not write. */
let viewer: string;
/** The controller's own: what a command may do inside of its pod. */
let inPod: string;
let dockerConfig: string;
let before: readonly Workload[];
let controller: Controller;

async function run(kubeconfig: string, ...args: readonly string[]): Promise<Ended> {
  return runCommand([...args, '--kubeconfig', kubeconfig], { DOCKER_CONFIG: dockerConfig });
}

async function readAll(): Promise<readonly Workload[]> {
  return Promise.all(before.map((workload) => read(kube, workload)));
}

/** All that a user has written; what the API server and its controllers add on a rollout is left out. */
function writtenByUsers({ metadata, spec }: Workload): object {
  const { annotations = {} } = metadata;
  const others = Object.entries(annotations).filter(
    ([key]) => !/^(?:deployment\.kubernetes\.io\/|deprecated\.daemonset\.)/.test(key),
  );
  return { name: metadata.name, annotations: Object.fromEntries(others), spec };
}

async function grantView(): Promise<void> {
  const metadata = { namespace, name: 'viewer' };
  const subjects = [{ kind: 'ServiceAccount', ...metadata }];
  const rbac = 'rbac.authorization.k8s.io';
  const roleName = `viewer-${namespace}`;
  await kube.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  await kube.create({
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: roleName },
    rules: [
      {
        apiGroups: ['apps'],
        resources: ['deployments', 'daemonsets', 'statefulsets', 'replicasets'],
        verbs: ['get', 'list', 'watch'],
      },
      { apiGroups: ['batch'], resources: ['cronjobs'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['pods', 'configmaps', 'namespaces'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get'] },
    ],
  });
  await kube.create({
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: roleName },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: roleName },
    subjects,
  });
}

async function writeKubeconfig(of: { readonly namespace: string; readonly name: string }): Promise<string> {
  const file = join(processes.folder, `${of.name}.json`);
  await waitFor(() => writeServiceAccountKubeconfig(cluster, { ...of, file }).then(() => true), {
    what: `the ServiceAccount ${of.name}`,
  });
  return file;
}

beforeAll(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    MAX_CONCURRENT_ROLLOUTS: '1',
    REQUEUE_AFTER: '1s',
  });
  namespace = await cluster.createNamespace();
  await grantView();
  viewer = await writeKubeconfig({ namespace, name: 'viewer' });
  inPod = await writeKubeconfig({ namespace: CONTROLLER_NAMESPACE, name: 'backup-image-registry-sa' });
  dockerConfig = await processes.createFolder('docker-config');
  await writeFile(join(dockerConfig, 'config.json'), dockerConfigFor([backup]));
  const running = [
    aDeployment({ namespace, name: 'web', images: [multiPlatform.reference], replicas: 2 }),
    aDeployment({
      namespace,
      name: 'orders',
      images: [multiPlatform.reference, dockerList.reference],
      initImages: [singleManifest.reference],
      annotations: { 'example.com/team': 'shop' },
    }),
    aDaemonSet({ namespace, name: 'agent', images: [dockerList.reference] }),
  ];
  const rest = [
    aDeployment({ namespace, name: 'hostile', images: [HOSTILE], replicas: 0 }),
    aDeployment({ namespace, name: 'lost', images: [`${source.host}/never/was:1`], replicas: 0 }),
  ];
  const created = await Promise.all([...running, ...rest].map((workload) => kube.create(workload)));
  before = await Promise.all(
    created.map((workload) =>
      workload.spec.replicas === 0 ? read(kube, workload) : waitForRollout(kube, workload),
    ),
  );
});

interface PlanOutput {
  readonly workloads: readonly {
    readonly kind: string;
    readonly name: string;
    readonly action: string;
    readonly why: string;
    readonly slots: readonly { readonly slot: string; readonly state: string; readonly copy?: string }[];
  }[];
}

async function planJson(): Promise<PlanOutput> {
  const { exitCode, stdout, stderr } = await run(viewer, 'plan', '-n', namespace, '-o', 'json');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(stdout) as PlanOutput;
}

describe('before the controller runs', () => {
  it(
    'plans one line for every workload, and a hostile image cannot make another',
    { tags: 'attack-text' },
    async () => {
      const { exitCode, stdout, stderr } = await run(viewer, 'plan', '-n', namespace);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      const [header, ...lines] = stdout.split('\n').map((line) => line.replaceAll(/ {3,}/g, ' | '));
      expect(header).toBe('NAMESPACE | WORKLOAD | ACTION | WHY');
      expect(lines).toEqual([
        `${namespace} | daemonset/agent | swap | 1 image to run from the backup; 1 image to be copied`,
        expect.stringMatching(/\| deployment\/hostile \| none \| main refused: InvalidImage: /),
        expect.stringMatching(
          /\| deployment\/lost \| wait \| no copy; main failed: NotFound: .*never\/was:1/,
        ),
        `${namespace} | deployment/orders | swap | 3 images to run from the backup; 3 images to be copied`,
        `${namespace} | deployment/web | swap | 1 image to run from the backup; 1 image to be copied`,
        '',
        '5 workloads: 1 none, 3 swap, 1 wait',
        '',
      ]);
      expect(stdout).not.toContain('\u001B');
    },
  );

  it('writes nothing when it plans: not in the cluster, not in the backup', async () => {
    const requests = (await readRequestLog(backup)).length;
    await planJson();
    const asked = (await readRequestLog(backup)).slice(requests);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter(({ method }) => !['HEAD', 'GET'].includes(method))).toEqual([]);
    const audit = await readAuditLog(cluster.auditLogFile, {
      serviceAccount: `${namespace}:viewer`,
      since: startedAt,
    });
    expect(new Set(audit.map(({ verb }) => verb))).toEqual(new Set(['list']));
    expect(
      audit.filter(({ annotations }) => annotations?.['authorization.k8s.io/decision'] === 'forbid'),
    ).toEqual([]);
    expect((await readAll()).map(({ metadata }) => metadata.generation)).toEqual(
      before.map(({ metadata }) => metadata.generation),
    );
  });

  it('says in one sentence that it may not look', async () => {
    await kube.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace, name: 'nobody' },
    });
    const { exitCode, stdout, stderr } = await run(
      await writeKubeconfig({ namespace, name: 'nobody' }),
      'plan',
    );
    expect(stderr).toMatch(/^GET configmaps \S+: 403 Forbidden: .*cannot list resource.*\n$/);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  });

  it('refuses a workload that is not there', async () => {
    const { exitCode, stderr } = await run(viewer, 'plan', 'deploy/gone', '-n', namespace);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: `there is no deployment/gone in the namespace ${namespace}\n`,
    });
  });
});

describe('while the controller runs', () => {
  let planned: PlanOutput;

  beforeAll(async () => {
    planned = await planJson();
    controller = await startController(cluster, { name: 'commands', registries: [backup] });
  });

  it('does what was planned, to the letter', async () => {
    const swaps = planned.workloads.filter(({ action }) => action === 'swap');
    expect(swaps.map(({ name }) => name)).toEqual(['agent', 'orders', 'web']);
    for (const { kind, name, slots } of swaps) {
      const workload = before.find((one) => one.kind === kind && one.metadata.name === name);
      const copies = slots.toSorted(
        (a, b) => Number(b.slot.startsWith('init')) - Number(a.slot.startsWith('init')),
      );
      const expected = copies.map(({ copy = '' }) => copy);
      if (workload) {
        await waitForImages(kube, workload, expected);
      }
    }
    const { workloads } = await planJson();
    expect(workloads.filter(({ action }) => action === 'swap')).toEqual([]);
    expect(workloads.find(({ name }) => name === 'orders')).toMatchObject({
      action: 'none',
      why: '3 images from the backup',
    });
  });

  it('maps every image to the copy that runs', async () => {
    const { stdout } = await run(viewer, 'map', '-n', namespace, '--output', 'json');
    const { images: rows } = JSON.parse(stdout) as { images: readonly object[] };
    expect(rows).toContainEqual({
      source: dockerList.reference,
      copy: copyOf(dockerList, PREFIX),
      swapped: true,
      workloads: [`DaemonSet/${namespace}/agent`, `Deployment/${namespace}/orders`],
    });
    const table = await run(viewer, 'map', '-n', namespace);
    expect(table.stdout).toMatch(/^WORKLOADS +SWAPPED +SOURCE +COPY\n/);
    expect(table.stdout).toContain(copyOf(multiPlatform, PREFIX));
  });

  it('maps a mirror at which a node finds the image under the path of its source', async () => {
    const crio = await run(viewer, 'map', '-n', namespace, '-o', 'cri-o');
    const location = `${PREFIX}/${source.host.replace(':', '_')}`;
    expect(parse(crio.stdout)).toEqual({
      registry: [
        {
          prefix: source.host,
          location: source.host,
          insecure: true,
          mirror: [{ location, insecure: true }],
        },
      ],
    });
    const { stdout } = await run(viewer, 'map', '-n', namespace, '-o', 'containerd');
    expect(stdout).toMatch(new RegExp(`^# /etc/containerd/certs\\.d/${source.host}/hosts\\.toml\n`));
    const { host = {} } = parse(stdout) as { host?: Record<string, unknown> };
    const [mirror = ''] = Object.keys(host);
    // As containerd asks with `override_path`: repository and reference follow right after the path.
    const answer = await fetch(`${mirror}/${multiPlatform.repository}/manifests/${multiPlatform.tag}`, {
      method: 'HEAD',
      headers: {
        accept: 'application/vnd.oci.image.index.v1+json',
        authorization: `Basic ${btoa(`${backup.credentials?.user}:${backup.credentials?.password}`)}`,
      },
    });
    expect(answer.headers.get('docker-content-digest')).toBe(multiPlatform.digest);
  });

  it('says what other settings than those of the controller would do', async () => {
    const { stdout } = await run(viewer, 'plan', '-n', namespace, '-o', 'json', '--set', 'MODE=observe');
    const { workloads } = JSON.parse(stdout) as {
      readonly workloads: readonly { readonly action: string }[];
    };
    expect(new Set(workloads.map(({ action }) => action))).toEqual(new Set(['none']));
    expect(stdout).toContain('MODE observe');
    const wrong = await run(viewer, 'map', '--set', 'MOD=observe');
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('did you mean MODE?') });
  });

  it('does not restore against a controller that would swap again', async () => {
    const { exitCode, stderr } = await run(inPod, 'restore', '--yes', '-n', namespace);
    expect(stderr).toMatch(/^the controller is running .* Set MODE=restore .*\n$/);
    expect(exitCode).toBe(2);
  });

  it('restores when the controller only observes', async () => {
    await changeSettings(kube, { MODE: 'observe' });
    const { exitCode } = await run(inPod, 'restore', 'ds/agent', '-n', namespace, '--yes');
    expect(exitCode).toBe(0);
    const agent = (await readAll()).find(({ kind }) => kind === 'DaemonSet');
    expect(agent && imagesOf(agent)).toEqual([dockerList.reference]);
    const { workloads } = await planJson();
    expect(workloads.find(({ name }) => name === 'agent')).toMatchObject({
      action: 'none',
      why: expect.stringMatching(/^MODE observe, otherwise: copy .* and run it from there$/),
    });
    await changeSettings(kube, { MODE: null });
    await waitForImages(kube, agent as Workload, [copyOf(dockerList, PREFIX)]);
  });
});

describe('after the controller has stopped', () => {
  const agent = () => before.filter(({ kind }) => kind === 'DaemonSet');

  beforeAll(async () => {
    await controller.program.stop();
  });

  it('shows what would be put back, and changes nothing', async () => {
    const generations = (await readAll()).map(({ metadata }) => metadata.generation);
    const { exitCode, stdout } = await run(viewer, 'restore', '--dry-run', '-n', namespace);
    const lines = stdout.split('\n').map((line) => line.replaceAll(/ {3,}/g, ' | '));
    expect(lines).toEqual([
      'NAMESPACE | WORKLOAD | PUT BACK',
      `${namespace} | daemonset/agent | main to ${dockerList.reference}`,
      `${namespace} | deployment/orders | main to ${multiPlatform.reference}, extra-1 to ${dockerList.reference}, init-1 to ${singleManifest.reference}`,
      `${namespace} | deployment/web | main to ${multiPlatform.reference}`,
      '',
      '3 workloads would be restored',
      '',
    ]);
    expect(exitCode).toBe(0);
    expect((await readAll()).map(({ metadata }) => metadata.generation)).toEqual(generations);
  });

  it('does not begin without being told so', async () => {
    const { exitCode, stderr } = await run(inPod, 'restore', '-n', namespace);
    expect(stderr).toMatch(/^the originals of 3 workloads would be put back, .*--yes.*\n$/);
    expect(exitCode).toBe(2);
  });

  it('asks on a terminal, and takes a no', async () => {
    const printed: string[] = [];
    const questions: string[] = [];
    const exitCode = await restore(
      {
        kubeconfigPath: inPod,
        controllerNamespace: undefined,
        environment: {},
        version: 'test',
        selection: { namespace },
        output: 'table',
        dryRun: false,
        yes: false,
        terminal: {
          isInteractive: true,
          print: async (text) => void printed.push(text),
          say: async (line) => void printed.push(line),
          show: () => undefined,
          ask: async (question) => {
            questions.push(question);
            return false;
          },
        },
      },
      new AbortController().signal,
    );
    expect(questions).toEqual([expect.stringContaining('the originals of 3 workloads')]);
    expect(printed.join('\n')).toMatch(/deployment\/web .*\n.*Nothing was changed\./s);
    expect(exitCode).toBe(1);
    expect((await readAll()).filter((one) => imagesOf(one)[0]?.startsWith(PREFIX))).toHaveLength(3);
  });

  it('says what it may not write, and ends with exit code 1', async () => {
    const { exitCode, stdout } = await run(viewer, 'restore', 'deploy/web', '-n', namespace, '--yes');
    expect(stdout).toMatch(/ deployment\/web failed: .*403 Forbidden.*\n\n0 restored, 1 failed\n$/);
    expect(exitCode).toBe(1);
  });

  it('restores one workload, and no other', async () => {
    const { exitCode, stdout } = await run(inPod, 'restore', 'DaemonSet/agent', '-n', namespace, '--yes');
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: `${namespace} daemonset/agent restored: main to ${dockerList.reference}\n\n1 restored\n`,
    });
    const now = await Promise.all(agent().map((workload) => read(kube, workload)));
    expect(now.map(writtenByUsers)).toEqual(agent().map(writtenByUsers));
    expect((await readAll()).filter((one) => imagesOf(one)[0]?.startsWith(PREFIX))).toHaveLength(2);
  });

  it('restores everything as the user wrote it, one rollout at a time, and leaves no mark', async () => {
    await changeSettings(kube, { NAMESPACES_EXCLUDE_LIST: `kube-*,${namespace}`, REGISTRY_PREFIX: null });
    const ending = run(inPod, 'restore', '--yes');
    let isEnded = false;
    void ending.then(() => {
      isEnded = true;
    });
    let most = 0;
    await waitFor(
      async () => {
        // All as they are at one moment.
        const now = await kube.list<Workload>({ apiVersion: 'apps/v1', kind: 'Deployment', namespace });
        const rolling = now.filter((one) => one.spec.replicas !== 0 && !isRolledOut(one));
        most = Math.max(most, rolling.length);
        return isEnded;
      },
      { what: 'the restore to end' },
    );
    const { exitCode, stdout } = await ending;
    expect(stdout).toMatch(new RegExp(`^${namespace} deployment/web restored: main to `, 'm'));
    expect(exitCode).toBe(0);
    expect(most).toBe(1);
    expect((await readAll()).map(writtenByUsers)).toEqual(before.map(writtenByUsers));
    const again = await run(inPod, 'restore', '--yes', '-n', namespace);
    expect(again.stdout).toBe('Nothing to restore: no workload has a mark of the controller.\n');
    const audit = await readAuditLog(cluster.auditLogFile, { since: startedAt });
    expect(
      audit.filter(({ annotations }) => annotations?.['authorization.k8s.io/decision'] === 'forbid'),
    ).toEqual([]);
  });
});
