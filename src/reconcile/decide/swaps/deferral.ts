import type { CopyOnlyReason } from '../../../workloads/copy-only.ts';
import { POLICY } from '../../../workloads/user-annotations.ts';
import type { Workload } from '../../../workloads/workload.ts';
import type { AppliedPolicy } from '../policy.ts';
import { createEvent } from '../../events/create-event.ts';
import type { ObjectEvent } from '../../events/object-event.ts';
import type { Waiting } from '../action.ts';

const INSIST = `insist with the annotation ${POLICY}: swap`;

const COPY_ONLY: Readonly<Record<CopyOnlyReason, string>> = {
  Flux:
    'Flux applies it (label kustomize.toolkit.fluxcd.io/name) and would put the image back at every interval. ' +
    `Let the Kustomization ignore the image first (spec.ignore), then ${INSIST}.`,
  OLM:
    'the Operator Lifecycle Manager installs it (label olm.owner) and would put the image back. ' +
    `Change the image in the ClusterServiceVersion, or ${INSIST}.`,
  'OpenShift trigger':
    'an image trigger sets its image (annotation image.openshift.io/triggers). ' +
    `Remove the trigger, or ${INSIST}.`,
  Keel:
    'Keel updates its image (keel.sh/policy), and would look for updates in the backup instead of the source. ' +
    `Remove it from Keel, or ${INSIST}.`,
  'Argo CD Image Updater':
    'the Argo CD Image Updater updates its image (annotation argocd-image-updater.argoproj.io/image-list). ' +
    `Remove it from there, or ${INSIST}.`,
  'addon manager':
    'the addon manager reconciles it (label addonmanager.kubernetes.io/mode) and would put the image back. ' +
    `If it does not, ${INSIST}.`,
  'node-critical':
    'nodes do not work without it (priority class system-node-critical), so it should not depend on one more ' +
    `registry. If it may, ${INSIST}.`,
};

function explainPolicy({ owner, copyOnly, namespace }: Workload, policy: AppliedPolicy): string | undefined {
  if (policy.from === 'namespace') {
    return `the namespace ${namespace} has the annotation ${POLICY}: copy.`;
  }
  if (policy.from !== 'recognized') {
    // What the user wrote on the workload needs no explanation there.
    return undefined;
  }
  return owner === undefined
    ? copyOnly && COPY_ONLY[copyOnly]
    : `${owner} owns it and would put the image back. Change the image there, or ${INSIST}.`;
}

function defer(note: string): ObjectEvent {
  return createEvent('Deferred', note);
}

type PolicyWaiting = 'policy copy' | 'owned by another controller' | 'left to its manager';

/** Undefined: the user has said so, is told by another event, or need not know, because it passes by itself. */
const WHY: Readonly<Record<Exclude<Waiting, PolicyWaiting>, string | undefined>> = {
  paused:
    'Copied, but not swapped while it is paused, because that would mix with your changes: ' +
    'it is swapped once it is resumed.',
  'rolled out by hand':
    'Copied, but not swapped, because its update strategy (OnDelete, or a partition above 0) lets you say ' +
    'which pods get a new template.',
  'scaled to zero': 'Copied, but not swapped while it has no pods that would show whether the copy works.',
  'MODE copy': undefined,
  copying: undefined,
  'no copy': undefined,
  'nodes of other platforms': undefined,
  'held after a swap that failed': undefined,
  'held after a swap that was reverted': undefined,
  'refused by the API server': undefined,
  'no pull secret': undefined,
  terminating: undefined,
  'rolling out': undefined,
  'swapping stopped': undefined,
  'too many rollouts': undefined,
  'first swap of the namespace': undefined,
};

function isPolicyWaiting(waiting: Waiting): waiting is PolicyWaiting {
  return !Object.hasOwn(WHY, waiting);
}

function explainWaiting(
  waiting: Waiting,
  { workload, policy }: { readonly workload: Workload; readonly policy: AppliedPolicy },
): string | undefined {
  if (!isPolicyWaiting(waiting)) {
    return WHY[waiting];
  }
  const why = explainPolicy(workload, policy);
  return why && `Copied, but not swapped: ${why}`;
}

/** What the user should know about a workload that is not swapped although nothing is wrong with it. */
export function planDeferral(
  waiting: Waiting,
  facts: { readonly workload: Workload; readonly policy: AppliedPolicy },
): readonly ObjectEvent[] {
  const note = explainWaiting(waiting, facts);
  return note === undefined ? [] : [defer(note)];
}

/** What is wrong with the annotations of the user, and what is not seen on the workload itself. */
export function planPolicyEvents({
  workload,
  policy,
}: {
  readonly workload: Workload;
  readonly policy: AppliedPolicy;
}): readonly ObjectEvent[] {
  const isIgnored = policy.policy === 'ignore' && policy.from === 'namespace';
  if (isIgnored && policy.problems.length === 0) {
    return [
      defer(
        `Neither copied nor swapped: the namespace ${workload.namespace} has the annotation ${POLICY}: ignore.`,
      ),
    ];
  }
  return policy.problems.map((note) => createEvent('InvalidAnnotation', note));
}
