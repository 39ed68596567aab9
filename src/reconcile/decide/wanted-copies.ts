import type { Settings } from '../../settings/settings.ts';
import type { CopyRequest } from '../copies/copy-state.ts';
import { type SlotPlan, findRequest } from './slots/planned-slot.ts';

/** False while nothing is to be copied or looked up, in whatever state the workloads are. */
export function makesCopies(mode: Settings['MODE']): boolean {
  return mode === 'swap' || mode === 'copy';
}

/** The copies that a workload needs from now on. */
export function listWantedCopies(mode: Settings['MODE'], plans: readonly SlotPlan[]): readonly CopyRequest[] {
  return makesCopies(mode) ? plans.flatMap((plan) => findRequest(plan) ?? []) : [];
}
