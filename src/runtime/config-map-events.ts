import { createEvent } from '../reconcile/events/create-event.ts';
import type { ObjectEvent } from '../reconcile/events/object-event.ts';
import type { SwapStop } from '../reconcile/rollouts/swap-stops.ts';
import { KINDS, type WorkloadKind } from '../workloads/kinds.ts';

/** An edit of the ConfigMap is not in force. */
export function planRefusedEvent(problem: string): ObjectEvent {
  return createEvent('ConfigInvalid', `Nothing of this edit is in force: ${problem}.`);
}

/** Too many swaps have failed, in one namespace or in several in a row. */
export function planStoppedEvent({ namespace, untilMs }: SwapStop): ObjectEvent {
  const what =
    namespace === undefined
      ? 'No workload is pointed at its copy any more, because swaps in three namespaces in a row have failed'
      : `No workload of the namespace ${namespace} is pointed at its copy any more, because three swaps there have failed. ` +
        'The other namespaces go on';
  const note =
    `${what}; the events SwapRolledBack of the workloads say why. Swapping goes on after ` +
    `${new Date(untilMs).toISOString()}, or at once with an edit of the settings.`;
  return createEvent('SwappingStopped', note);
}

/** The API server refuses to show these kinds. */
export function planForbiddenEvent(kinds: readonly WorkloadKind[]): ObjectEvent {
  const resources = kinds.map((kind) => KINDS[kind].plural).join(', ');
  const note =
    `Workloads of the kind ${kinds.join(', ')} are not managed: listing and watching ${resources} in all ` +
    'namespaces is not permitted. Apply config/default/rbac.yaml again, or take the kind out of WORKLOAD_KINDS. ' +
    'The other kinds are not affected, and nothing has to be restarted.';
  return createEvent('KindForbidden', note);
}
