import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tools } from '../tools/build.ts';
import {
  apiServerArgs,
  controllerManagerArgs,
  etcdArgs,
  LOOPBACK,
  schedulerArgs,
  type ControlPlanePaths,
} from './control-plane-args.ts';
import { findFreePort } from './free-port.ts';
import { createKube, type Kube } from './kube.ts';
import type { KubeConnection } from './kube-transport.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { Processes, RunningProgram } from './processes.ts';

/** A real API server with TLS and RBAC, and its etcd. */
export interface ApiServer {
  /** As a member of system:masters. */
  readonly connection: KubeConnection;
  readonly kubeconfigFile: string;
  /** Of the node that is called `NODE_NAME`. */
  readonly kubeletConnection: KubeConnection;
  readonly kubeProxyConnection: KubeConnection;
  /** JSON lines: every request that a ServiceAccount outside kube-system has made. */
  readonly auditLogFile: string;
  readonly kube: Kube;
  readonly etcd: RunningProgram;
  readonly etcdUrl: string;
  readonly apiServer: RunningProgram;
  stop(): Promise<void>;
}

/** A real control plane on loopback, without nodes. */
export interface ControlPlane extends ApiServer {
  readonly controllerManager: RunningProgram;
  readonly scheduler: RunningProgram;
}

export interface ControlPlaneOptions {
  readonly tools: Tools;
  readonly processes: Processes;
  /** Of this machine, where the API server listens; default: loopback. */
  readonly address?: string;
}

/** Of the only node that has a kubelet of its own; the test kubelet is the administrator. */
export const NODE_NAME = 'real-node';

/** The first thing that a controller manager creates: without it no pod is accepted. */
const DEFAULT_SERVICE_ACCOUNT = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  namespace: 'default',
  name: 'default',
};

export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { tools, processes } = options;
  const { paths, ...base } = await startEtcdAndApiServer(options);
  const controllerManager = await processes.run({
    name: 'kube-controller-manager',
    command: tools['kube-controller-manager'],
    args: controllerManagerArgs(paths),
    isReady: async () => (await base.kube.get(DEFAULT_SERVICE_ACCOUNT)) !== undefined,
  });
  const scheduler = await processes.run({
    name: 'kube-scheduler',
    command: tools['kube-scheduler'],
    args: schedulerArgs(paths),
  });
  return {
    ...base,
    controllerManager,
    scheduler,
    async stop() {
      await Promise.all([scheduler.stop(), controllerManager.stop()]);
      await base.stop();
    },
  };
}

/** Without controllers: objects are stored, watched and deleted, and nothing comes of them. */
export async function startApiServer(options: ControlPlaneOptions): Promise<ApiServer> {
  const { paths: _, ...apiServer } = await startEtcdAndApiServer(options);
  return apiServer;
}

async function startEtcdAndApiServer(
  options: ControlPlaneOptions,
): Promise<ApiServer & { readonly paths: ControlPlanePaths }> {
  const { tools, processes, address = LOOPBACK } = options;
  const folder = await processes.createFolder('control-plane');
  const tokens = newTokens();
  const paths = await writeFiles(folder, tokens);
  const etcdUrl = `http://127.0.0.1:${await findFreePort()}`;
  const etcd = await processes.run({
    name: 'etcd',
    command: tools.etcd,
    args: etcdArgs(paths, { client: etcdUrl, peer: `http://127.0.0.1:${await findFreePort()}` }),
    isReady: async () => (await fetch(`${etcdUrl}/health`)).ok,
  });

  const port = await findFreePort();
  const server = `https://${address}:${port}`;
  const apiServer = await processes.run({
    name: 'kube-apiserver',
    command: tools['kube-apiserver'],
    args: apiServerArgs(paths, { etcdUrl, address, port }),
    isReady: async () => isApiServerReady({ server, ca: await readAuthority(paths), token: tokens.admin }),
    // It would wait for the watches of all its clients.
    graceMs: 1_000,
  });
  const ca = await readAuthority(paths);
  await writeFile(paths.authority, ca);
  const connectAs = (token: string): KubeConnection => ({ server, ca, token });
  await writeKubeconfig(paths.adminKubeconfig, connectAs(tokens.admin));
  await writeKubeconfig(paths.controllerManagerKubeconfig, connectAs(tokens.controllerManager));
  await writeKubeconfig(paths.schedulerKubeconfig, connectAs(tokens.scheduler));
  const kube = createKube(connectAs(tokens.admin));
  return {
    connection: connectAs(tokens.admin),
    kubeconfigFile: paths.adminKubeconfig,
    kubeletConnection: connectAs(tokens.kubelet),
    kubeProxyConnection: connectAs(tokens.kubeProxy),
    auditLogFile: paths.auditLog,
    kube,
    etcd,
    etcdUrl,
    apiServer,
    paths,
    async stop() {
      kube.close();
      await apiServer.stop();
      await etcd.stop();
    },
  };
}

/** Ready includes the hooks that create the built-in namespaces and roles. */
async function isApiServerReady(connection: KubeConnection): Promise<boolean> {
  const kube = createKube(connection);
  try {
    return (await kube.request({ method: 'GET', path: '/readyz' })) === 'ok';
  } finally {
    kube.close();
  }
}

/** What programs that act as ServiceAccounts outside the control plane ask for, without bodies. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system'] },
    { level: 'Metadata', userGroups: ['system:serviceaccounts'] },
    { level: 'None' },
  ],
};

type TokenSet = ReturnType<typeof newTokens>;

function newTokens() {
  const newToken = (): string => randomBytes(24).toString('hex');
  return {
    admin: newToken(),
    controllerManager: newToken(),
    scheduler: newToken(),
    kubelet: newToken(),
    kubeProxy: newToken(),
  };
}

async function writeFiles(folder: string, tokens: TokenSet): Promise<ControlPlanePaths> {
  const paths: ControlPlanePaths = {
    etcdData: join(folder, 'etcd'),
    certificates: join(folder, 'certificates'),
    authority: join(folder, 'ca.crt'),
    tokens: join(folder, 'tokens.csv'),
    serviceAccountKey: join(folder, 'service-account.key'),
    serviceAccountPublicKey: join(folder, 'service-account.pub'),
    adminKubeconfig: join(folder, 'admin.kubeconfig'),
    controllerManagerKubeconfig: join(folder, 'controller-manager.kubeconfig'),
    schedulerKubeconfig: join(folder, 'scheduler.kubeconfig'),
    auditPolicy: join(folder, 'audit-policy.json'),
    auditLog: join(folder, 'audit.log'),
  };
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFile(paths.serviceAccountKey, keys.privateKey, { mode: 0o600 });
  await writeFile(paths.serviceAccountPublicKey, keys.publicKey);
  await writeFile(paths.tokens, tokenFile(tokens), { mode: 0o600 });
  await writeFile(paths.auditPolicy, JSON.stringify(AUDIT_POLICY));
  return paths;
}

/** Lines of token, user name, user id, groups. */
function tokenFile(tokens: TokenSet): string {
  const { admin, controllerManager, scheduler, kubelet, kubeProxy } = tokens;
  return [
    `${admin},admin,admin,system:masters`,
    `${controllerManager},system:kube-controller-manager,controller-manager`,
    `${scheduler},system:kube-scheduler,scheduler`,
    `${kubelet},system:node:${NODE_NAME},kubelet,system:nodes`,
    `${kubeProxy},system:kube-proxy,kube-proxy`,
    '',
  ].join('\n');
}

/** The API server writes its own certificate and after it the authority that it made up to sign it. */
async function readAuthority(paths: ControlPlanePaths): Promise<string> {
  const chain = await readFile(join(paths.certificates, 'apiserver.crt'), 'utf8');
  const certificates = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return `${certificates.at(-1)}\n`;
}
