import type { Action } from '../../src/reconcile/decide/action.ts';
import type { Decision } from '../../src/reconcile/decide/decision.ts';

type ByKind = { readonly [K in Action['is']]?: Extract<Action, { readonly is: K }> };

/** The actions of a decision by their kind, where a test is about one of them. */
export function byKind({ actions }: Pick<Decision, 'actions'>): ByKind {
  return Object.fromEntries(actions.map((action) => [action.is, action]));
}

/** Why a workload waits; undefined when it does not. */
export function whyWaiting(decision: Pick<Decision, 'actions'>): string | undefined {
  return byKind(decision).wait?.reason;
}
