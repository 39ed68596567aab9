import type { Snapshot } from '../telemetry/snapshot.ts';
import type { ControllerParts } from './wiring.ts';

/** How things are now. */
export function takeSnapshot({ lease, live, loops, registry }: ControllerParts): Snapshot {
  const { copies: copiesInFlight, allowances } = registry.readState();
  return {
    hasLease: lease.isLeader(),
    areSettingsApplied: live.isKnown && live.problem === undefined,
    copiesInFlight,
    allowances,
    ...loops.readState(),
  };
}
