import { quote } from '../../images/reference.ts';
import type { Preview } from '../../reconcile/preview/preview.ts';
import type { Action, Waiting } from '../../reconcile/decide/action.ts';
import type { Decision, WorkloadFacts } from '../../reconcile/decide/decision.ts';
import { type CurrentHold, findHold } from '../../reconcile/decide/swaps/current-hold.ts';
import type { WorkloadKind, WorkloadName } from '../../workloads/kinds.ts';
import { REFRESH } from '../../workloads/user-annotations.ts';
import { type SlotRow, toSlotRow } from './slot-row.ts';

/** What would happen to a workload first; part of the JSON output. */
export type PlanAction =
  /** Its template is pointed at the copies, once those that are missing are made. */
  | 'swap'
  /** Copies are made, the template stays as it is for now. */
  | 'copy'
  /** What it had before the last swap is put back. */
  | 'undo'
  /** A swap did not last: it failed, or somebody has put the originals back. The template stays as it is for a while. */
  | 'hold'
  /** Pods that wait in vain get the images of the template, which stays as it is. */
  | 'free pods'
  /** MODE=restore: it gets back what its user wrote. */
  | 'restore'
  /** There is something to be done, but not now. */
  | 'wait'
  | 'none'
  /** Out of scope: neither copied nor changed, whatever it runs. */
  | 'excluded';

export interface PlanRow {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
  readonly action: PlanAction;
  /** One sentence. */
  readonly why: string;
  readonly slots: readonly SlotRow[];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function countIn(slots: readonly SlotRow[], state: SlotRow['state']): number {
  return slots.filter((slot) => slot.state === state).length;
}

function isTrouble({ state, problem }: SlotRow): boolean {
  return problem !== undefined && state !== 'left alone';
}

/** The slots that nothing good can be said of, one after the other. */
function listTrouble(slots: readonly SlotRow[]): readonly string[] {
  return slots.filter(isTrouble).map(({ slot, state, problem }) => `${slot} ${state}: ${problem}`);
}

function describeSlots(slots: readonly SlotRow[]): readonly string[] {
  const toCopy = countIn(slots, 'to be copied');
  const moved = slots.filter(({ from }) => from !== undefined).length;
  const ofThem =
    moved === 0
      ? ''
      : `, ${moved === toCopy ? 'from their former copies' : `${moved} of them from former copies`}`;
  return toCopy === 0 ? [] : [`${count(toCopy, 'image')} to be copied${ofThem}`];
}

function describeNone({ mode, workload }: WorkloadFacts, slots: readonly SlotRow[]): string {
  if (workload.tooLarge !== undefined) {
    return `left alone: ${workload.tooLarge}`;
  }
  const backedUp = countIn(slots, 'backed up');
  if (mode === 'restore') {
    return 'MODE restore, and it has nothing of ours';
  }
  if (backedUp > 0) {
    return `${count(backedUp, 'image')} from the backup`;
  }
  const reasons = new Set(slots.flatMap(({ state, problem }) => (state === 'left alone' ? [problem] : [])));
  return reasons.size === 0 ? 'no image to back up' : [...reasons].join(', ');
}

/** The reason to wait, with who is behind it. */
function describeWaiting(waiting: Waiting, { workload, policy }: WorkloadFacts): string {
  const behind: Partial<Record<Waiting, string | undefined>> = {
    'policy copy': `of the ${policy.from}`,
    'owned by another controller': workload.owner,
    'left to its manager': workload.copyOnly,
  };
  const what = waiting === 'copying' ? 'no copy yet' : waiting;
  return behind[waiting] === undefined ? what : `${what} (${behind[waiting]})`;
}

/** Whoever annotates it does not have to wait. */
function describeHold({ why, by, untilMs }: CurrentHold): string {
  const who = by === undefined ? '' : ` (by ${quote(by)})`;
  return `${why}${who}, until ${new Date(untilMs).toISOString()} or until the annotation ${REFRESH} has another value`;
}

function toWait(waiting: Waiting, facts: WorkloadFacts): ActionAndReasons {
  const hold = facts.mode === 'swap' ? findHold(facts) : undefined;
  if (hold?.why === waiting) {
    return { action: 'hold', reasons: [describeHold(hold)] };
  }
  const also = hold ? [describeHold(hold)] : [];
  return { action: 'wait', reasons: [describeWaiting(waiting, facts), ...also] };
}

interface ActionAndReasons {
  readonly action: PlanAction;
  readonly reasons: readonly string[];
}

function toActionAndReasons(
  action: Action,
  facts: WorkloadFacts,
  slots: readonly SlotRow[],
): ActionAndReasons | undefined {
  switch (action.is) {
    case 'free pod':
      return { action: 'free pods', reasons: [`${action.patch.name} gets the images of the template`] };
    case 'undo':
    case 'hold':
      return { action: action.is, reasons: [action.event.note] };
    case 'swap': {
      const images = `${count(action.slots.length, 'image')} to run from the backup`;
      const rescue = action.isRescue ? ['at once, because the original cannot be pulled'] : [];
      return { action: 'swap', reasons: [images, ...rescue, ...describeSlots(slots)] };
    }
    case 'restore': {
      const images = count(action.patch.slots.length, 'image');
      return { action: 'restore', reasons: [`${images} back to what the user wrote`] };
    }
    case 'wait':
      return toWait(action.reason, facts);
    case 'observe': {
      const would = action.would.length === 0 ? ['nothing to do'] : action.would;
      return { action: 'none', reasons: [`MODE observe, otherwise: ${would.join('; ')}`] };
    }
    case 'recheck copies':
    case 'confirm swap':
    case 'release images':
    // Neither a template nor a pod is changed by it.
  }
  return undefined;
}

/** Of a workload for which nothing is to be done. */
function toRest(facts: WorkloadFacts, slots: readonly SlotRow[]): ActionAndReasons {
  return { action: 'none', reasons: slots.some(isTrouble) ? [] : [describeNone(facts, slots)] };
}

/** Of several actions, the one that changes most gives the row its name; each gives its reasons. */
function summarize({ facts, decision }: Preview, slots: readonly SlotRow[]): ActionAndReasons {
  const all = decision.actions.flatMap((action) => toActionAndReasons(action, facts, slots) ?? []);
  const reasons = all.flatMap((one) => one.reasons);
  const change = all.find(({ action }) => !['wait', 'hold', 'free pods'].includes(action));
  if (change) {
    return { action: change.action, reasons };
  }
  const toCopy = describeSlots(slots);
  const [first] = all;
  if (toCopy.length > 0 && first?.action !== 'free pods') {
    return { action: 'copy', reasons: [...toCopy, ...reasons] };
  }
  return first ? { action: first.action, reasons: [...toCopy, ...reasons] } : toRest(facts, slots);
}

/** Why a copy that is there does not help pods that cannot pull the original. */
function describeNotRescued({ events = [] }: Decision): readonly string[] {
  return events.flatMap(({ reason, note }) => (reason === 'NotRescued' ? [note] : []));
}

/** A pod can come to any node, so one for which nothing is copied keeps the workload from the copies. */
function describeUncovered({ uncoveredPlatforms = [] }: WorkloadFacts): readonly string[] {
  return uncoveredPlatforms.length === 0
    ? []
    : [`PLATFORMS leaves out nodes of ${uncoveredPlatforms.join(', ')}`];
}

/** What would happen to one workload, and why. */
export function toPlanRow(one: Preview): PlanRow {
  const { kind, namespace, name } = one.facts.workload;
  const slots = one.facts.slots.map(toSlotRow);
  const { action, reasons } = summarize(one, slots);
  const troubles = one.facts.mode === 'observe' ? [] : listTrouble(slots);
  const why = [
    ...reasons,
    ...troubles,
    ...describeNotRescued(one.decision),
    ...describeUncovered(one.facts),
    ...one.facts.policy.problems,
  ].join('; ');
  return { kind, namespace, name, action, why, slots };
}

/** Of a workload that is never touched. */
export function toExcludedRow({ kind, namespace, name }: WorkloadName, why: string): PlanRow {
  return { kind, namespace, name, action: 'excluded', why, slots: [] };
}
