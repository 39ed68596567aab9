import { untilAborted } from '../clock.ts';
import { watchCredentials } from './watches/credentials-watch.ts';
import { applyEnvironment } from './watches/settings-watch.ts';
import type { ControllerParts } from './wiring.ts';

/** Together with ending what does not end (5 s), the events and the Lease (10 s), within the 30 s that a pod has left. */
const DRAIN_MS = 12_000;
const EVENTS_DRAIN_MS = 2_000;

/** Waits for the first answer of the API server, however long that takes. */
async function findSettings({ settingsWatch, live, deps }: ControllerParts, signal: AbortSignal) {
  await Promise.race([settingsWatch.synced, untilAborted(signal)]);
  if (!signal.aborted && !live.isKnown && !settingsWatch.findConfigMap()) {
    applyEnvironment(live, deps);
  }
}

/** The Lease is renewed for as long as work is being finished, and given back after that. */
async function stopWork({ phase, loops, events, lease, deps }: ControllerParts): Promise<void> {
  const isLost = lease.lost.aborted;
  deps.log.info(isLost ? 'lease lost, stopping' : 'stopping');
  switch (phase.drain()) {
    case 'leading':
      await loops.drain(isLost ? 0 : DRAIN_MS);
      break;
    case 'starting':
    case 'standby':
    case 'draining':
      loops.shutDown();
  }
  await events.close(EVENTS_DRAIN_MS);
  await lease.release();
}

/** Competes for the Lease, and works with it, until the signal. */
async function work(
  parts: ControllerParts,
  { stopped, stopWatching }: { readonly stopped: AbortSignal; readonly stopWatching: AbortSignal },
): Promise<void> {
  const { loops, lease, deps } = parts;
  watchCredentials(deps.environment['DOCKER_CONFIG'], () => loops.retryWithNewCredentials(), stopped);
  const competing = lease.run(stopWatching);
  await untilAborted(stopped);
  await stopWork(parts);
  await competing;
}

/**
 * Starts everything in order and stops it in order: works until the signal, or until the Lease is lost. Returns the exit
 * code.
 *
 * @throws {UsageError} when there is neither a ConfigMap nor an environment with usable settings.
 */
export async function runController(parts: ControllerParts, signal: AbortSignal): Promise<number> {
  const { settingsWatch, workloads, pods, live, lease, pullSecrets, registry, deps } = parts;
  const stopped = AbortSignal.any([signal, lease.lost]);
  const stopWatching = new AbortController();
  const watching = Promise.all(
    [settingsWatch, workloads, pods].map((watch) => watch.run(stopWatching.signal)),
  );
  try {
    await findSettings(parts, stopped);
    if (live.isKnown) {
      await Promise.race([Promise.all([workloads.synced, pods.known]), untilAborted(stopped)]);
    }
    if (!stopped.aborted) {
      await work(parts, { stopped, stopWatching: stopWatching.signal });
    }
  } finally {
    stopWatching.abort();
    await Promise.all([watching, pullSecrets.stop()]);
    registry.close();
    deps.connection.close();
  }
  deps.log.info('stopped');
  return lease.lost.aborted ? 1 : 0;
}
