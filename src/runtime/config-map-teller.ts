import type { ObjectEvent } from '../reconcile/events/object-event.ts';
import type { EventRecorder } from '../reconcile/ports.ts';
import type { WorkloadKind } from '../workloads/kinds.ts';
import { planForbiddenEvent, planRefusedEvent, planStoppedEvent } from './config-map-events.ts';
import type { Lease } from './lease.ts';
import type { SettingsWatch } from './watches/settings-watch.ts';

export interface ConfigMapTellerDeps {
  readonly settingsWatch: Pick<SettingsWatch, 'findConfigMap'>;
  readonly events: EventRecorder;
  readonly lease: Pick<Lease, 'isLeader'>;
}

/** Events about the ConfigMap: there is no other object of ours that a user looks at. */
export interface ConfigMapTeller {
  /** Says nothing without the Lease: of several replicas that see the same, one is to say so. */
  tellRefused(problem: string): void;
  /** The same. */
  tellForbidden(kinds: readonly WorkloadKind[]): void;
  /** Only whoever swaps can find that out. */
  tellStopped(untilMs: number): void;
}

export function createConfigMapTeller({
  settingsWatch,
  events,
  lease,
}: ConfigMapTellerDeps): ConfigMapTeller {
  const tell = (event: ObjectEvent): void => {
    const configMap = settingsWatch.findConfigMap();
    if (configMap) {
      events.record(configMap, event);
    }
  };
  return {
    tellRefused(problem) {
      if (lease.isLeader()) {
        tell(planRefusedEvent(problem));
      }
    },
    tellForbidden(kinds) {
      if (lease.isLeader() && kinds.length > 0) {
        tell(planForbiddenEvent(kinds));
      }
    },
    tellStopped: (untilMs) => tell(planStoppedEvent(untilMs)),
  };
}
