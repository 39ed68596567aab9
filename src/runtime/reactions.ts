import { findKinds } from '../settings/scope.ts';
import type { Settings } from '../settings/settings.ts';
import { takeSnapshot } from './snapshot.ts';
import type { ControllerParts } from './wiring.ts';

/** Once it leads it works, with all workloads that there are. */
function advance({ phase, loops, deps }: ControllerParts): void {
  if (phase.advance() === 'leading') {
    deps.log.info('working');
    loops.start();
  }
}

/** An edit may have been refused, or a kind been forbidden, while nobody had the Lease. */
function takeLease(parts: ControllerParts): void {
  const { live, workloads, configMapRecorder } = parts;
  if (live.problem !== undefined) {
    configMapRecorder.recordRefused(live.problem);
  }
  configMapRecorder.recordForbidden(workloads.listForbidden());
  advance(parts);
}

function applySettings(parts: ControllerParts, now: Settings, before: Settings | undefined): void {
  const { metrics, workloads, loops, deps } = parts;
  deps.log.level = now.LOG_LEVEL;
  const { MODE: mode, NAMESPACES_EXCLUDE_LIST: excluded, REGISTRY_PREFIX: prefix } = now;
  deps.log.info({ mode, prefix: `${prefix.host}/${prefix.path}`, excluded }, 'settings applied');
  metrics.settingsReloads.inc({ result: 'applied' });
  workloads.setKinds(findKinds(now));
  loops.applySettings(now, before);
  advance(parts);
}

function refuseSettings({ metrics, live, configMapRecorder, deps }: ControllerParts, problem: string): void {
  const kept = live.isKnown ? 'the last good settings stay' : 'waiting for an edit of the ConfigMap';
  deps.log.error({ problem }, `settings refused, ${kept}`);
  metrics.settingsReloads.inc({ result: 'refused' });
  configMapRecorder.recordRefused(problem);
}

/** Who hears of what. To be called once, before anything runs. */
export function connectParts(parts: ControllerParts): void {
  const { metrics, live, workloads, pods, lease, configMapRecorder, loops } = parts;
  metrics.observe(() => takeSnapshot(parts));
  live.listen({
    onChanged: (now, before) => applySettings(parts, now, before),
    onRefused: (problem) => refuseSettings(parts, problem),
  });
  workloads.listen({
    onChange: (key, workload) => loops.observe(key, workload),
    onSynced() {
      loops.watchRestore();
      advance(parts);
    },
    onForbidden: (kinds) => configMapRecorder.recordForbidden(kinds),
  });
  pods.listen((workloadKey, news) => loops.observePod(workloadKey, news));
  void pods.known.then(() => advance(parts));
  void lease.taken.then(() => takeLease(parts));
}
