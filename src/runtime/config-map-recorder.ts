import type { ObjectEvent } from '../reconcile/events/object-event.ts';
import type { EventRecorder } from '../reconcile/ports.ts';
import type { SwapStop } from '../reconcile/rollouts/swap-stops.ts';
import type { WorkloadKind } from '../workloads/kinds.ts';
import { planForbiddenEvent, planRefusedEvent, planStoppedEvent } from './config-map-events.ts';
import type { Lease } from './lease.ts';
import type { SettingsWatch } from './watches/settings-watch.ts';

export interface ConfigMapRecorderDeps {
  readonly settingsWatch: Pick<SettingsWatch, 'findConfigMap'>;
  readonly events: EventRecorder;
  readonly lease: Pick<Lease, 'isLeader'>;
}

/** Events about the ConfigMap: there is no other object of ours that a user looks at. */
export interface ConfigMapRecorder {
  /** Says nothing without the Lease: of several replicas that see the same, one is to say so. */
  recordRefused(problem: string): void;
  /** The same. */
  recordForbidden(kinds: readonly WorkloadKind[]): void;
  /** Only whoever swaps can find that out. */
  recordStopped(stop: SwapStop): void;
}

export function createConfigMapRecorder({
  settingsWatch,
  events,
  lease,
}: ConfigMapRecorderDeps): ConfigMapRecorder {
  const record = (event: ObjectEvent): void => {
    const configMap = settingsWatch.findConfigMap();
    if (configMap) {
      events.record(configMap, event);
    }
  };
  return {
    recordRefused(problem) {
      if (lease.isLeader()) {
        record(planRefusedEvent(problem));
      }
    },
    recordForbidden(kinds) {
      if (lease.isLeader() && kinds.length > 0) {
        record(planForbiddenEvent(kinds));
      }
    },
    recordStopped: (stop) => record(planStoppedEvent(stop)),
  };
}
