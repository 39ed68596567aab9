import type { ObjectEvent } from '../reconcile/ports.ts';

/** An edit of the ConfigMap is not in force. */
export function planRefusedEvent(problem: string): ObjectEvent {
  const note = `Nothing of this edit is in force: ${problem}.`;
  return { type: 'Warning', reason: 'ConfigInvalid', action: 'ReloadConfig', note };
}

/** Too many swaps in a row have failed. */
export function planStoppedEvent(untilMs: number): ObjectEvent {
  const note =
    'No workload is pointed at its copy any more, because three swaps in a row have failed; the events SwapRolledBack ' +
    `and SwapDenied of the workloads say why. Swapping goes on after ${new Date(untilMs).toISOString()}, ` +
    'or at once with an edit of the settings.';
  return { type: 'Warning', reason: 'SwappingStopped', action: 'SwapImage', note };
}
