/** Why the controller needs a permission. A test holds these against the rules of the manifests. */
export interface PermissionReason {
  /** The manifest with the rule. */
  readonly file: string;
  readonly verbs: readonly string[];
  /** As `deployments.apps`; those of the core group without a dot. */
  readonly resources: readonly string[];
  /** The only objects that the rule is about. */
  readonly names?: readonly string[];
  /** In whole sentences, in Markdown. */
  readonly why: string;
}

const DEFAULT = 'config/default/rbac.yaml';
const PULL_SECRET = 'config/components/pull-secret/rbac.yaml';
const POD_DRY_RUN = 'config/components/pod-dry-run/rbac.yaml';

const WORKLOADS: readonly PermissionReason[] = [
  {
    file: DEFAULT,
    verbs: ['list', 'watch'],
    resources: ['deployments.apps', 'daemonsets.apps', 'statefulsets.apps'],
    why: 'To see which images the cluster uses, and whether a workload is rolled out. Without one of these kinds the others are managed, and the event `KindForbidden` says so.',
  },
  {
    file: DEFAULT,
    verbs: ['patch'],
    resources: ['deployments.apps', 'daemonsets.apps', 'statefulsets.apps'],
    why: 'To swap, undo and restore: images and imagePullSecrets of the pod template, and two annotations. Nothing else is written.',
  },
  {
    file: DEFAULT,
    verbs: ['list'],
    resources: ['replicasets.apps'],
    why: 'To find the annotations that `kubectl rollout undo` takes off a Deployment, and which pods are of which template.',
  },
  {
    file: DEFAULT,
    verbs: ['list', 'watch'],
    resources: ['cronjobs.batch'],
    why: 'As for Deployments. Used while `WORKLOAD_KINDS` names CronJob, and to restore.',
  },
  {
    file: DEFAULT,
    verbs: ['patch'],
    resources: ['cronjobs.batch'],
    why: 'As for Deployments. A CronJob does not roll out: its next run uses the copies.',
  },
];

const PODS_AND_CLUSTER: readonly PermissionReason[] = [
  {
    file: DEFAULT,
    verbs: ['list', 'watch'],
    resources: ['pods'],
    why: 'To see which digest runs, which is what gets backed up, and whether pods start after a swap, which is undone otherwise. They are watched; before anything is done because of them, they are listed once more. Without `watch` they are listed whenever a workload is looked at.',
  },
  {
    file: DEFAULT,
    verbs: ['patch'],
    resources: ['pods'],
    why: 'To give a pod that waits for an image in vain, and that nobody replaces, the image of its template. That happens with StatefulSets, CronJobs, and DaemonSets with `OnDelete`.',
  },
  {
    file: DEFAULT,
    verbs: ['list'],
    resources: ['nodes'],
    why: 'To see the platforms of the nodes. Used only while `PLATFORMS` names some, or pods run a manifest of one platform whose index is lost.',
  },
  {
    file: DEFAULT,
    verbs: ['list', 'watch'],
    resources: ['namespaces'],
    why: 'To read the annotation `backup-image-registry/policy` of namespaces, and nothing else of them. Without this rule that annotation does not count, and the rest works.',
  },
  {
    file: DEFAULT,
    verbs: ['create', 'patch'],
    resources: ['events.events.k8s.io'],
    why: 'To say what was done to a workload, and why not. An event that repeats is a patch of the first.',
  },
  {
    file: DEFAULT,
    verbs: ['create'],
    resources: ['selfsubjectaccessreviews.authorization.k8s.io'],
    why: 'To ask whether the component `pod-dry-run` is installed, instead of trying. The answer is about the controller alone.',
  },
];

const OWN_NAMESPACE: readonly PermissionReason[] = [
  {
    file: DEFAULT,
    verbs: ['list', 'watch'],
    resources: ['configmaps'],
    names: ['k8s-backup-image-registry-controller-configuration'],
    why: 'To read the settings, and to notice an edit within a second.',
  },
  {
    file: DEFAULT,
    verbs: ['create'],
    resources: ['leases.coordination.k8s.io'],
    why: 'To create the Lease of the leader election. Kubernetes cannot limit to a name what is created.',
  },
  {
    file: DEFAULT,
    verbs: ['get', 'update'],
    resources: ['leases.coordination.k8s.io'],
    names: ['k8s-backup-image-registry-controller'],
    why: 'To take, renew and give back that Lease, so that one of several replicas works.',
  },
];

const COMPONENTS: readonly PermissionReason[] = [
  {
    file: POD_DRY_RUN,
    verbs: ['create'],
    resources: ['pods'],
    why: 'To see, before a swap, what a webhook or policy would make of pods with the copies. Every such request is a dry run; Kubernetes cannot limit a role to that, and so `policy.yaml` beside it refuses the others.',
  },
  {
    file: PULL_SECRET,
    verbs: ['list', 'watch'],
    resources: ['secrets'],
    names: ['backup-image-registry-pull'],
    why: 'To read the Secret that `PULL_SECRET` names beside the controller, and to see where it was handed out, or where a Secret of that name is yours.',
  },
  {
    file: PULL_SECRET,
    verbs: ['patch'],
    resources: ['secrets'],
    names: ['backup-image-registry-pull'],
    why: 'To have those that were handed out follow the one beside the controller.',
  },
  {
    file: PULL_SECRET,
    verbs: ['delete'],
    resources: ['secrets'],
    names: ['backup-image-registry-pull'],
    why: 'To take it out of a namespace in which no workload needs it any more. Only one with the label `backup-image-registry/pull-secret-of` is changed or deleted.',
  },
  {
    file: PULL_SECRET,
    verbs: ['create'],
    resources: ['secrets'],
    why: 'To put it into the namespace of a workload that is swapped. Kubernetes cannot limit to a name what is created.',
  },
];

/** Of all rules below config. */
export const PERMISSION_REASONS: readonly PermissionReason[] = [
  ...WORKLOADS,
  ...PODS_AND_CLUSTER,
  ...OWN_NAMESPACE,
  ...COMPONENTS,
];
