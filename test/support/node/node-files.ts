/** Configuration of the programs of a real node: as in production where images are concerned, small elsewhere. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeConnection } from '../kube-transport.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import type { Sandbox } from './sandbox.ts';

export interface NodeFilesOptions {
  readonly folder: string;
  readonly sandbox: Sandbox;
  /** Image that holds the network of every pod. */
  readonly pauseImage: string;
  readonly cniFolder: string;
  readonly kubeletConnection: KubeConnection;
  readonly kubeProxyConnection: KubeConnection;
}

export interface NodeFiles {
  readonly containerd: string;
  readonly kubelet: string;
  readonly kubeletKubeconfig: string;
  readonly kubeProxy: string;
  /** A folder for each registry, named as its host. */
  readonly registries: string;
}

export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

export async function writeNodeFiles(options: NodeFilesOptions): Promise<NodeFiles> {
  const { folder, sandbox } = options;
  const files = {
    containerd: join(folder, 'containerd.toml'),
    kubelet: join(folder, 'kubelet.json'),
    kubeletKubeconfig: join(folder, 'kubelet.kubeconfig'),
    kubeProxy: join(folder, 'kube-proxy.json'),
    registries: join(folder, 'registries'),
  };
  const cni = join(folder, 'cni');
  const kubeProxyKubeconfig = join(folder, 'kube-proxy.kubeconfig');
  await Promise.all([mkdir(files.registries), mkdir(cni)]);
  await writeFile(files.containerd, containerdConfig({ ...options, cni, registries: files.registries }));
  await writeFile(join(cni, '10-pods.conflist'), JSON.stringify(podNetwork(sandbox)));
  await writeFile(files.kubelet, JSON.stringify(kubeletConfig(sandbox)));
  await writeFile(files.kubeProxy, JSON.stringify(kubeProxyConfig(sandbox, kubeProxyKubeconfig)));
  await writeKubeconfig(files.kubeletKubeconfig, options.kubeletConnection);
  await writeKubeconfig(kubeProxyKubeconfig, options.kubeProxyConnection);
  return files;
}

/** Lets containerd speak plain HTTP to a registry; it looks here before every pull. */
export async function writeRegistryFile(registries: string, host: string): Promise<void> {
  await mkdir(join(registries, host), { recursive: true });
  await writeFile(join(registries, host, 'hosts.toml'), `server = "http://${host}"\n`);
}

function containerdConfig(options: NodeFilesOptions & { cni: string; registries: string }): string {
  const { pauseImage, cniFolder, cni, registries } = options;
  const quote = (text: string): string => JSON.stringify(text);
  return `
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = ${quote(CONTAINERD_SOCKET)}

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = ${quote(pauseImage)}

[plugins."io.containerd.cri.v1.images".registry]
  config_path = ${quote(registries)}

[plugins."io.containerd.cri.v1.runtime"]
  # Machines without CAP_SYS_RESOURCE may not lower it.
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [${quote(cniFolder)}]
  conf_dir = ${quote(cni)}

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`.trimStart();
}

/** A cable from each pod to the node; the machine outside has a route to the pods, so nothing is translated. */
function podNetwork({ podSubnet }: Sandbox): object {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: podSubnet }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, ipam }] };
}

function kubeletConfig({ name }: Sandbox): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    // All control groups of its pods are below one of its own, and the machine's memory is not divided up.
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${name}`,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    // kube-proxy has nothing to do with iptables here.
    makeIPTablesUtilChains: false,
    // A full disk or little memory is no reason to end a test's pods, or to remove its images.
    evictionHard: { 'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    imageGCHighThresholdPercent: 100,
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
  };
}

function kubeProxyConfig({ podSubnet }: Sandbox, kubeconfig: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig },
    clusterCIDR: podSubnet,
    // Limits of the machine, which only the machine may set.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
