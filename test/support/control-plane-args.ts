/** Command lines of the control plane: what a production cluster has where it matters to a controller, fast elsewhere. */

export interface ControlPlanePaths {
  readonly etcdData: string;
  /** Where the API server puts the certificate that it signs for itself. */
  readonly certificates: string;
  readonly authority: string;
  readonly tokens: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly adminKubeconfig: string;
  readonly controllerManagerKubeconfig: string;
  readonly schedulerKubeconfig: string;
  readonly auditPolicy: string;
  readonly auditLog: string;
}

export const LOOPBACK = '127.0.0.1';

export function etcdArgs(
  paths: ControlPlanePaths,
  urls: { client: string; peer: string },
): readonly string[] {
  return [
    `--data-dir=${paths.etcdData}`,
    `--listen-client-urls=${urls.client}`,
    `--advertise-client-urls=${urls.client}`,
    `--listen-peer-urls=${urls.peer}`,
    `--initial-advertise-peer-urls=${urls.peer}`,
    `--initial-cluster=default=${urls.peer}`,
    // Nothing here has to survive a power cut.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

export function apiServerArgs(
  paths: ControlPlanePaths,
  { etcdUrl, address, port }: { etcdUrl: string; address: string; port: number },
): readonly string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${port}`,
    // Loopback is refused as an endpoint of the Service "kubernetes".
    `--endpoint-reconciler-type=${address === LOOPBACK ? 'none' : 'lease'}`,
    `--cert-dir=${paths.certificates}`,
    `--token-auth-file=${paths.tokens}`,
    '--authorization-mode=Node,RBAC',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${paths.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${paths.serviceAccountKey}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--allow-privileged=true',
    // The name of a node means nothing to anybody else.
    '--kubelet-preferred-address-types=InternalIP',
    `--audit-policy-file=${paths.auditPolicy}`,
    `--audit-log-path=${paths.auditLog}`,
    '--audit-log-mode=blocking',
    '--event-ttl=1h',
    '--profiling=false',
    // It taints new nodes until the controller manager has looked at them: seconds, before the first pod can start.
    '--disable-admission-plugins=TaintNodesByCondition',
  ];
}

export function controllerManagerArgs(paths: ControlPlanePaths): readonly string[] {
  return [
    `--kubeconfig=${paths.controllerManagerKubeconfig}`,
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    '--leader-elect=false',
    // As kubeadm does: each of its controllers has its own ServiceAccount and RBAC role.
    '--use-service-account-credentials=true',
    `--root-ca-file=${paths.authority}`,
    `--service-account-private-key-file=${paths.serviceAccountKey}`,
    // A node of the test kubelet is not lost because the process was busy, or stopped in a debugger.
    '--node-monitor-grace-period=10m',
    // A quota that was counted before the pod that takes the place of an old one was seen is right again soon.
    '--resource-quota-sync-period=10s',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--profiling=false',
  ];
}

export function schedulerArgs(paths: ControlPlanePaths): readonly string[] {
  return [
    `--kubeconfig=${paths.schedulerKubeconfig}`,
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    '--leader-elect=false',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--profiling=false',
  ];
}
