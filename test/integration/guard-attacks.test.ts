/** What whoever has stolen the token of the controller can do where the component `guard` is installed. */
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CONFIG_MAP, CONTROLLER_NAMESPACE, installController, kubectl, ROOT } from '../support/controller.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { installGuard, refusalOf, removeGuard, stealToken } from '../support/guard.ts';
import { type Kube, type ObjectReference } from '../support/kube.ts';
import type { AnyObject } from '../support/objects.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { aCronJob, aDaemonSet, aDeployment, aStatefulSet } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source } = cluster;
const PULL_SECRET = 'backup-image-registry-pull';
const COMPONENT = join(ROOT, 'config/components/pull-secret/rbac.yaml');
const ORIGINALS = 'backup-image-registry/original-images';
const STATUS = 'backup-image-registry/status';
const DIGEST = `@sha256:${'a'.repeat(64)}`;
const PREFIX = 'backup.example/team';
const OWN = 'own.example/shop/web:1';
const COPY = `${PREFIX}/own.example/shop/web:1${DIGEST}`;
const FOREIGN = 'foreign.example/miner:1';
const GUARDED = /ValidatingAdmissionPolicy 'backup-image-registry-guard-/;

let thief: Kube;
let namespace: string;

beforeAll(async () => {
  await installController(cluster, {
    REGISTRY_PREFIX: PREFIX,
    NAMESPACES_EXCLUDE_LIST: 'kube-*,stolen-*',
    PULL_SECRET,
  });
  await kubectl(cluster, 'apply', '-f', COMPONENT);
  await kube.apply(aPullSecret({ namespace: CONTROLLER_NAMESPACE, name: PULL_SECRET }, source));
  namespace = await cluster.createNamespace('stolen');
  await installGuard(cluster, namespace);
  thief = await stealToken(cluster);
  await Promise.all(targets().map(async (target) => kube.create(target)));
});

afterAll(async () => {
  thief?.close();
  await removeGuard(cluster);
  await kube.delete({
    apiVersion: 'v1',
    kind: 'Secret',
    namespace: CONTROLLER_NAMESPACE,
    name: PULL_SECRET,
  });
  await kubectl(cluster, 'delete', '--ignore-not-found', '-f', COMPONENT);
});

/** No pod of them is to start: their images are nowhere. */
function targets(): readonly AnyObject[] {
  const volumes = [{ name: 'model', image: { reference: OWN } }];
  const podSpec = { volumes, nodeSelector: { nowhere: 'true' } };
  const options = { namespace, images: [OWN, OWN], initImages: [OWN], podSpec };
  const annotations = {
    [ORIGINALS]: JSON.stringify({ main: OWN }),
    [STATUS]: JSON.stringify({ v: 1, copies: { main: COPY } }),
  };
  const swapped = aDeployment({ ...options, name: 'swapped', images: [COPY], annotations });
  return [
    aDeployment({ ...options, name: 'web', replicas: 0 }),
    { ...swapped, spec: { ...swapped.spec, replicas: 0 } },
    aDaemonSet({ ...options, name: 'agent' }),
    aStatefulSet({ ...options, name: 'db', replicas: 0 }),
    aCronJob({ ...options, name: 'nightly' }),
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name: 'pod', labels: { app: 'pod' } },
      spec: { containers: [{ name: 'main', image: OWN }], nodeSelector: { nowhere: 'true' } },
    },
  ] as readonly AnyObject[];
}

const refer = (kind: string, name: string): ObjectReference => ({
  apiVersion: { Pod: 'v1', CronJob: 'batch/v1' }[kind] ?? 'apps/v1',
  kind,
  namespace,
  name,
});
const WEB = ['Deployment', 'web'] as const;
const SWAPPED = ['Deployment', 'swapped'] as const;
type Target = readonly [kind: string, name: string];

const main = (fields: object): object => ({ containers: [{ name: 'main', ...fields }] });
const pod = (spec: object): object => ({ spec: { template: { spec } } });
const run = (spec: object): object => ({ spec: { jobTemplate: { spec: { template: { spec } } } } });
const meta = (metadata: object): object => ({ metadata });
const note = (annotations: object): object => meta({ annotations });
const record = (originals: object, status: object = {}): object => ({
  [ORIGINALS]: JSON.stringify(originals),
  [STATUS]: JSON.stringify({ v: 1, ...status }),
});

/** What users have written: the API server and its controllers add to the rest all the time. */
async function readWritten(target: ObjectReference): Promise<object> {
  const { metadata, spec } = ((await kube.get(target)) ?? {}) as AnyObject & {
    readonly metadata: { readonly finalizers?: unknown };
    readonly spec?: unknown;
  };
  const { labels, annotations = {}, ownerReferences, finalizers } = metadata;
  const own = Object.entries(annotations).filter(([key]) => key.startsWith('backup-image-registry/'));
  return { labels, own, ownerReferences, finalizers, spec };
}

async function expectRefused(target: ObjectReference, patch: object): Promise<void> {
  const before = await readWritten(target);
  expect(await refusalOf(thief.patch(target, patch, { type: 'strategic' }))).toMatch(GUARDED);
  expect(await readWritten(target)).toEqual(before);
}

describe('a stolen token changes nothing else of a workload', () => {
  it.each<readonly [what: string, target: Target, patch: object]>([
    ['adds a container', WEB, pod({ containers: [{ name: 'evil', image: OWN }] })],
    ['removes a container', WEB, pod({ containers: [{ name: 'extra-1', $patch: 'delete' }] })],
    ['adds an init container', WEB, pod({ initContainers: [{ name: 'evil', image: OWN }] })],
    ['removes all init containers', WEB, pod({ initContainers: null })],
    ['changes command', WEB, pod(main({ command: ['sh'] }))],
    ['changes args', WEB, pod(main({ args: ['--evil'] }))],
    ['changes args together with the right copy', WEB, pod(main({ image: COPY, args: ['--evil'] }))],
    ['changes env', WEB, pod(main({ env: [{ name: 'LD_PRELOAD', value: '/evil.so' }] }))],
    ['changes envFrom', WEB, pod(main({ envFrom: [{ secretRef: { name: 'db' } }] }))],
    ['has a container privileged', WEB, pod(main({ securityContext: { privileged: true } }))],
    ['changes the pull policy', WEB, pod(main({ imagePullPolicy: 'Never' }))],
    ['adds a lifecycle hook', WEB, pod(main({ lifecycle: { postStart: { exec: { command: ['sh'] } } } }))],
    ['mounts the host', WEB, pod({ volumes: [{ name: 'host', hostPath: { path: '/' } }] })],
    [
      'turns an image volume into another',
      WEB,
      pod({ volumes: [{ name: 'model', image: null, emptyDir: {} }] }),
    ],
    [
      'changes the pull policy of an image volume',
      WEB,
      pod({ volumes: [{ name: 'model', image: { reference: OWN, pullPolicy: 'Always' } }] }),
    ],
    ['takes another service account', WEB, pod({ serviceAccountName: 'admin' })],
    ['takes the network of the host', WEB, pod({ hostNetwork: true })],
    ['moves pods to another node', WEB, pod({ nodeSelector: { nowhere: null } })],
    ['changes the security context of pods', WEB, pod({ securityContext: { runAsUser: 0 } })],
    ['changes labels of pods', WEB, { spec: { template: { metadata: { labels: { role: 'db' } } } } }],
    ['changes annotations of pods', WEB, { spec: { template: { metadata: { annotations: { a: 'b' } } } } }],
    ['changes replicas', WEB, { spec: { replicas: 3 } }],
    ['changes the strategy', WEB, { spec: { strategy: { type: 'Recreate', rollingUpdate: null } } }],
    ['pauses it', WEB, { spec: { paused: true } }],
    ['labels it', WEB, meta({ labels: { app: 'other' } })],
    ['says what may be done', WEB, note({ 'backup-image-registry/policy': 'ignore' })],
    ['forges an annotation of others', WEB, note({ 'kubectl.kubernetes.io/restartedAt': 'now' })],
    ['keeps it from being deleted', WEB, meta({ finalizers: ['evil.example/x'] })],
    [
      'gives it an owner that is gone',
      WEB,
      meta({ ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }] }),
    ],
    ['changes args of a DaemonSet', ['DaemonSet', 'agent'], pod(main({ args: ['--evil'] }))],
    ['changes the claims of a StatefulSet', ['StatefulSet', 'db'], { spec: { replicas: 9 } }],
    ['changes args of a CronJob', ['CronJob', 'nightly'], run(main({ args: ['--evil'] }))],
    ['changes the schedule of a CronJob', ['CronJob', 'nightly'], { spec: { schedule: '* * * * *' } }],
    [
      'changes the Jobs of a CronJob',
      ['CronJob', 'nightly'],
      { spec: { jobTemplate: { spec: { parallelism: 100 } } } },
    ],
    [
      'labels the Jobs',
      ['CronJob', 'nightly'],
      { spec: { jobTemplate: { metadata: { labels: { a: 'b' } } } } },
    ],
    ['has pods pull with a Secret of its own choice', WEB, pod({ imagePullSecrets: [{ name: 'evil' }] })],
    ['takes a pod from its owner', ['Pod', 'pod'], meta({ labels: { app: 'other' } })],
    ['ends a pod', ['Pod', 'pod'], { spec: { activeDeadlineSeconds: 1 } }],
  ])('%s', { tags: 'attack-token' }, async (_, target, patch) => {
    await expectRefused(refer(...target), patch);
  });
});

describe('a stolen token changes no image', () => {
  it.each<readonly [what: string, target: Target, patch: object]>([
    ['to a foreign one', WEB, pod(main({ image: FOREIGN }))],
    ['of an init container', WEB, pod({ initContainers: [{ name: 'init-1', image: FOREIGN }] })],
    ['of the second container', WEB, pod({ containers: [{ name: 'extra-1', image: FOREIGN }] })],
    ['of an image volume', WEB, pod({ volumes: [{ name: 'model', image: { reference: FOREIGN } }] })],
    ['of a DaemonSet', ['DaemonSet', 'agent'], pod(main({ image: FOREIGN }))],
    ['of a StatefulSet', ['StatefulSet', 'db'], pod(main({ image: FOREIGN }))],
    ['of a CronJob', ['CronJob', 'nightly'], run(main({ image: FOREIGN }))],
    ['of a pod', ['Pod', 'pod'], { spec: main({ image: FOREIGN }) }],
    ['to another tag of its own', WEB, pod(main({ image: 'own.example/shop/web:0' }))],
    ['to the copy of another', WEB, pod(main({ image: `${PREFIX}/own.example/shop/api:1${DIGEST}` }))],
    ['to a copy that is not pinned', WEB, pod(main({ image: `${PREFIX}/own.example/shop/web:1` }))],
    ['to a copy with a digest that is none', WEB, pod(main({ image: `${COPY}b` }))],
    [
      'to a prefix that begins like ours',
      WEB,
      pod(main({ image: `backup.example/team-evil/own.example/shop/web:1${DIGEST}` })),
    ],
    [
      'to a host that begins like ours',
      WEB,
      pod(main({ image: `backup.example.evil/team/own.example/shop/web:1${DIGEST}` })),
    ],
    [
      'to a foreign one named like a copy',
      WEB,
      pod(main({ image: `foreign.example/own.example/shop/web:1${DIGEST}` })),
    ],
    ['to a foreign one with a copy in it', WEB, pod(main({ image: `foreign.example/${COPY}` }))],
    [
      'to what another container has recorded',
      SWAPPED,
      pod({ initContainers: [{ name: 'init-1', image: COPY.replace('web', 'api') }] }),
    ],
    [
      'of a pod to what else is below the prefix',
      ['Pod', 'pod'],
      { spec: main({ image: `${PREFIX}/shop/web${DIGEST}` }) },
    ],
    [
      'of a pod to a copy of another',
      ['Pod', 'pod'],
      { spec: main({ image: `${PREFIX}/${FOREIGN}${DIGEST}` }) },
    ],
  ])('%s', { tags: 'attack-token' }, async (_, target, patch) => {
    await expectRefused(refer(...target), patch);
  });
});

describe('a stolen token forges no record to restore from', () => {
  it.each<readonly [what: string, target: Target, annotations: object]>([
    ['of an original', WEB, record({ main: FOREIGN })],
    [
      'of an original beside the right one',
      SWAPPED,
      record({ main: OWN, 'init-1': FOREIGN }, { copies: { main: COPY } }),
    ],
    ['of another original', SWAPPED, record({ main: FOREIGN }, { copies: { main: COPY } })],
    ['of another tag', SWAPPED, record({ main: 'own.example/shop/web:0' }, { copies: { main: COPY } })],
    ['of an image volume', WEB, record({ 'volume:model': FOREIGN })],
    ['of a copy', WEB, record({ main: OWN }, { copies: { main: FOREIGN } })],
    [
      'of a copy of another image',
      WEB,
      record({ main: OWN }, { copies: { main: `${PREFIX}/${FOREIGN}${DIGEST}` } }),
    ],
    ['of what was there before', WEB, record({ main: OWN }, { before: { main: FOREIGN } })],
    ['of what was put back', WEB, record({ main: OWN }, { hold: { images: { main: FOREIGN } } })],
    ['of an earlier copy', WEB, record({ main: OWN }, { former: { main: { [COPY]: FOREIGN } } })],
    ['of what is there as an earlier copy', WEB, record({}, { former: { main: { [OWN]: FOREIGN } } })],
    ['twice under one name', WEB, { [ORIGINALS]: `{"main":"${FOREIGN}","main":"${OWN}"}` }],
    ['in a text that is no JSON', WEB, { [ORIGINALS]: `"main":"${FOREIGN}"` }],
    ['behind a quotation mark', WEB, { [ORIGINALS]: `"\\"main":"${FOREIGN}"` }],
    ['behind another pair', WEB, { [ORIGINALS]: `{"a":"b":"main":"${FOREIGN}"}` }],
    ['under the name of a field', WEB, { [STATUS]: `{"v":1,"refresh":"${FOREIGN}","uid":"${FOREIGN}"}` }],
  ])('%s', { tags: 'attack-token' }, async (_, target, annotations) => {
    await expectRefused(refer(...target), note(annotations));
    await expectRefused(refer(...target), pod(main({ image: FOREIGN })));
  });
});

describe('a stolen token reaches no image in several steps', () => {
  it.each([
    ['by way of a copy that is named after it', `${PREFIX}/${FOREIGN}${DIGEST}`],
    ['by way of a flat copy', `${PREFIX}/foreign-example-miner-0123456789${DIGEST}`],
  ])('%s', { tags: 'attack-token' }, async (_, step) => {
    for (const target of [refer('Pod', 'pod'), refer(...WEB)]) {
      const patch = (image: string): object =>
        target.kind === 'Pod' ? { spec: main({ image }) } : pod(main({ image }));
      await expectRefused(target, patch(step));
      await expectRefused(target, patch(FOREIGN));
    }
  });

  it('by taking the record off, and writing it anew', { tags: 'attack-token' }, async () => {
    const swapped = refer(...SWAPPED);
    const { annotations = {} } = (await kube.get(swapped))?.metadata ?? {};
    await thief.patch(swapped, note({ [ORIGINALS]: null, [STATUS]: null }));
    await expectRefused(swapped, note(record({ main: FOREIGN })));
    await kube.patch(swapped, note({ [ORIGINALS]: annotations[ORIGINALS], [STATUS]: annotations[STATUS] }));
  });
});

describe('a stolen token, besides workloads,', () => {
  const secret = (fields: object): AnyObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: PULL_SECRET, labels: { [LABEL]: CONTROLLER_NAMESPACE } },
    ...fields,
  });
  const LABEL = 'backup-image-registry/pull-secret-of';
  const config = { '.dockerconfigjson': '{"auths":{}}' };
  const aReport = (fields: object): AnyObject => ({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace, name: 'report' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'own.example/audit',
    reportingInstance: 'audit',
    action: 'Report',
    reason: 'Report',
    type: 'Warning',
    regarding: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: 'web' },
    ...fields,
  });

  it('has no Secret filled with the token of another account', { tags: 'attack-token' }, async () => {
    const annotations = { 'kubernetes.io/service-account.name': 'default' };
    const metadata = { namespace, name: PULL_SECRET, annotations, labels: { [LABEL]: CONTROLLER_NAMESPACE } };
    const wanted = secret({ metadata, type: 'kubernetes.io/service-account-token' });
    expect(await refusalOf(thief.create(wanted))).toMatch(GUARDED);
  });

  it.each<readonly [what: string, fields: () => object]>([
    ['of another type', () => ({ type: 'Opaque', stringData: { key: 'x' } })],
    [
      'that does not say who has handed it out',
      () => ({
        metadata: { namespace, name: PULL_SECRET },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: config,
      }),
    ],
  ])('creates no Secret %s', { tags: 'attack-token' }, async (_, fields) => {
    expect(await refusalOf(thief.create(secret(fields())))).toMatch(GUARDED);
  });

  it('neither changes nor deletes a Secret of its users', { tags: 'attack-token' }, async () => {
    const theirs = { apiVersion: 'v1', kind: 'Secret', namespace: CONTROLLER_NAMESPACE, name: PULL_SECRET };
    const before = await kube.get(theirs);
    expect(await refusalOf(thief.patch(theirs, { stringData: config }))).toMatch(GUARDED);
    const claim = meta({ labels: { [LABEL]: CONTROLLER_NAMESPACE } });
    expect(await refusalOf(thief.patch(theirs, claim))).toMatch(GUARDED);
    expect(await refusalOf(thief.delete(theirs))).toMatch(GUARDED);
    expect(await kube.get(theirs)).toEqual(before);
  });

  it('neither tells Events in the name of others nor rewrites theirs', { tags: 'attack-token' }, async () => {
    expect(await refusalOf(thief.create(aReport({})))).toMatch(GUARDED);
    const report = await kube.create(aReport({}));
    const series = { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' };
    const reference = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      namespace,
      name: report.metadata.name,
    };
    expect(await refusalOf(thief.patch(reference, { series }))).toMatch(GUARDED);
  });

  it('creates no Lease but its own', { tags: 'attack-token' }, async () => {
    const metadata = { namespace: CONTROLLER_NAMESPACE, name: 'other' };
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: {} };
    expect(await refusalOf(thief.create(lease))).toMatch(GUARDED);
  });

  it.each<
    readonly [
      what: string,
      method: 'PATCH' | 'PUT' | 'POST' | 'DELETE' | 'GET',
      path: () => string,
      body: object | undefined,
    ]
  >([
    ['scales a workload', 'PATCH', () => `${APPS()}/deployments/web/scale`, { spec: { replicas: 9 } }],
    ['writes the status of a workload', 'PATCH', () => `${APPS()}/deployments/web/status`, { status: {} }],
    ['replaces a workload', 'PUT', () => `${APPS()}/deployments/web`, {}],
    ['deletes a workload', 'DELETE', () => `${APPS()}/deployments/web`, undefined],
    ['creates a workload', 'POST', () => `${APPS()}/deployments`, {}],
    ['changes a ReplicaSet', 'PATCH', () => `${APPS()}/replicasets/x`, { spec: { replicas: 9 } }],
    ['changes a Job', 'PATCH', () => `/apis/batch/v1/namespaces/${namespace}/jobs/x`, {}],
    ['creates a pod', 'POST', () => `${CORE()}/pods`, {}],
    ['deletes a pod', 'DELETE', () => `${CORE()}/pods/pod`, undefined],
    ['evicts a pod', 'POST', () => `${CORE()}/pods/pod/eviction`, {}],
    ['adds an ephemeral container', 'PATCH', () => `${CORE()}/pods/pod/ephemeralcontainers`, {}],
    ['runs a command in a pod', 'POST', () => `${CORE()}/pods/pod/exec?command=sh&stdout=true`, {}],
    ['reads any Secret', 'GET', () => `${CORE()}/secrets`, undefined],
    ['gets a token', 'POST', () => `${CORE()}/serviceaccounts/default/token`, {}],
    ['edits its settings', 'PATCH', () => SETTINGS, { data: { REGISTRY_PREFIX: 'foreign.example' } }],
    ['takes the guard away', 'DELETE', () => `${ADMISSION}/backup-image-registry-guard-fields`, undefined],
    [
      'grants itself more',
      'POST',
      () => '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
      { metadata: { name: 'x' }, roleRef: { kind: 'ClusterRole', name: 'cluster-admin' } },
    ],
  ])('has no role with which it %s', { tags: 'attack-token' }, async (_, method, path, body) => {
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const request = { method, path: path(), contentType, ...(body && { body }) };
    expect(await refusalOf(thief.request(request))).toContain('cannot ');
  });

  const APPS = (): string => `/apis/apps/v1/namespaces/${namespace}`;
  const CORE = (): string => `/api/v1/namespaces/${namespace}`;
  const SETTINGS = `/api/v1/namespaces/${CONTROLLER_NAMESPACE}/configmaps/${CONFIG_MAP.name}`;
  const ADMISSION = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
});
