/** Whose business the images of a workload are, besides its user's: it is copied, and swapped only if the user insists. */
export type CopyOnlyReason =
  | 'Flux'
  | 'OLM'
  | 'OpenShift trigger'
  | 'Keel'
  | 'Argo CD Image Updater'
  | 'addon manager'
  | 'node-critical';

/** What a workload tells about itself: raw values, of any type. */
export interface WorkloadSigns {
  readonly kind: string;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly priorityClassName: unknown;
}

/** First match counts. */
const SIGNS: readonly (readonly [CopyOnlyReason, (signs: WorkloadSigns) => boolean])[] = [
  ['Flux', ({ labels }) => Object.hasOwn(labels, 'kustomize.toolkit.fluxcd.io/name')],
  ['OLM', ({ labels }) => Object.hasOwn(labels, 'olm.owner')],
  ['OpenShift trigger', ({ annotations }) => Object.hasOwn(annotations, 'image.openshift.io/triggers')],
  [
    'Keel',
    ({ labels, annotations }) =>
      Object.hasOwn(annotations, 'keel.sh/policy') || Object.hasOwn(labels, 'keel.sh/policy'),
  ],
  [
    'Argo CD Image Updater',
    ({ annotations }) => Object.hasOwn(annotations, 'argocd-image-updater.argoproj.io/image-list'),
  ],
  ['addon manager', ({ labels }) => labels['addonmanager.kubernetes.io/mode'] === 'Reconcile'],
  [
    'node-critical',
    ({ kind, priorityClassName }) => kind === 'DaemonSet' && priorityClassName === 'system-node-critical',
  ],
];

/** Undefined when nothing speaks against a swap. */
export function findCopyOnlyReason(signs: WorkloadSigns): CopyOnlyReason | undefined {
  return SIGNS.find(([, isSign]) => isSign(signs))?.[0];
}
