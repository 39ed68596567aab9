import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type ToolName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubectl'
  | 'registry'
  | 'regctl'
  | 'docker-credential-ecr-login'
  | 'docker-credential-gcr'
  | 'docker-credential-acr-env'
  | 'helm'
  | 'reference'
  | 'election-candidate';

/** What only a real node needs. */
export type NodeToolName =
  | 'containerd'
  | 'containerd-shim-runc-v2'
  | 'ctr'
  | 'kubelet'
  | 'kube-proxy'
  | 'node-program';

type AnyToolName = ToolName | NodeToolName;

/** A Go module beside this file, and the programs that are built from it. */
export interface ToolModule {
  readonly name: string;
  /** Default: named as the module. */
  readonly folder?: string;
  readonly ldflags: string;
  readonly tags?: string;
  /** Go package of each program. */
  readonly packages: Readonly<Partial<Record<AnyToolName, string>>>;
}

const STRIPPED = '-s -w';
const KUBERNETES_VERSION = '1.37.2';
const STAMP = 'k8s.io/component-base/version';
/** Without the stamp the API server calls itself v0.0.0-master, and clients believe it. */
const KUBERNETES_LDFLAGS = [
  STRIPPED,
  `-X ${STAMP}.gitVersion=v${KUBERNETES_VERSION}`,
  `-X ${STAMP}.gitMajor=${KUBERNETES_VERSION.split('.')[0]}`,
  `-X ${STAMP}.gitMinor=${KUBERNETES_VERSION.split('.')[1]}`,
].join(' ');

/** Quick ones first: whoever has a broken network or too old a Go learns it within seconds. */
export const TOOL_MODULES: readonly ToolModule[] = [
  {
    name: 'regctl',
    ldflags: STRIPPED,
    packages: { regctl: 'github.com/regclient/regclient/cmd/regctl' },
  },
  {
    name: 'credential-helpers',
    ldflags: STRIPPED,
    packages: {
      'docker-credential-ecr-login':
        'github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/docker-credential-ecr-login',
      'docker-credential-gcr': 'github.com/GoogleCloudPlatform/docker-credential-gcr/v2',
      'docker-credential-acr-env': 'github.com/chrismellard/docker-credential-acr-env',
    },
  },
  { name: 'reference', ldflags: STRIPPED, packages: { reference: '.' } },
  { name: 'registry', ldflags: STRIPPED, packages: { registry: '.' } },
  { name: 'election-candidate', ldflags: STRIPPED, packages: { 'election-candidate': '.' } },
  { name: 'helm', ldflags: STRIPPED, packages: { helm: 'helm.sh/helm/v4/cmd/helm' } },
  {
    name: 'kubernetes',
    ldflags: KUBERNETES_LDFLAGS,
    packages: {
      etcd: 'go.etcd.io/etcd/server/v3',
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
    },
  },
];

/** Built only where a real node can run: they take a third as long again. */
export const NODE_TOOL_MODULES: readonly ToolModule[] = [
  { name: 'node-program', ldflags: STRIPPED, packages: { 'node-program': '.' } },
  {
    name: 'containerd',
    ldflags: STRIPPED,
    // Snapshotters that need a file system or a device of their own.
    tags: 'no_btrfs,no_zfs,no_devmapper',
    packages: {
      containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
      'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
      ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
    },
  },
  {
    name: 'kubernetes-node',
    folder: 'kubernetes',
    ldflags: KUBERNETES_LDFLAGS,
    packages: {
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
    },
  },
];

export function moduleFolder(module: ToolModule): string {
  return join(import.meta.dirname, module.folder ?? module.name);
}

/** Without debug information the first build is a third shorter and takes half the disk. */
export function buildFlags(module: ToolModule): readonly string[] {
  const { tags, ldflags } = module;
  return ['-trimpath', '-gcflags=all=-dwarf=false', '-ldflags', ldflags, ...(tags ? ['-tags', tags] : [])];
}

/** Changes whenever the programs built from the module could. */
export async function moduleKey(module: ToolModule, goVersion: string): Promise<string> {
  const folder = moduleFolder(module);
  const files = (await readdir(folder)).filter((file) => /^go\.(mod|sum)$|\.go$/.test(file)).toSorted();
  const hash = createHash('sha256').update(JSON.stringify([goVersion, buildFlags(module), module.packages]));
  for (const file of files) {
    hash.update(`\0${file}\0`).update(await readFile(join(folder, file)));
  }
  return hash.digest('hex').slice(0, 16);
}
