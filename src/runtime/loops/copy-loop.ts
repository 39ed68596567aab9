import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { Share } from '../../queue/fair-line.ts';
import { type Reconcile, WorkQueue } from '../../queue/work-queue.ts';
import { createCopyReconciler } from '../../reconcile/copies/copy-reconciler.ts';
import type { CopyStore } from '../../reconcile/copies/copy-store.ts';
import type { ImageRegistry } from '../../reconcile/ports.ts';
import type { RegistrySettings } from '../../registry/registry-context.ts';
import type { Settings } from '../../settings/settings.ts';
import type { Metrics } from '../../telemetry/metrics.ts';

/** Copies cost much more than other work, so a failing one waits longer from the start than client-go's keys do. */
const COPY_BACKOFF = { firstMs: 1_000, longestMs: 10 * 60_000, random: Math.random };

/**
 * Passes over copies at the same time. More than copies: they look things up before and set the plain tag after the
 * copy, while the engine is at work for others. The registry room lets no more than COPY_CONCURRENCY engines run. A
 * quarter is left to namespaces that have no pass, and one host gets half of them: what waits leaves room for the others.
 */
export function planCopyPasses({ COPY_CONCURRENCY: copies }: Pick<Settings, 'COPY_CONCURRENCY'>): number {
  return 4 * copies;
}

export interface CopyQueueDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'forQueue'>;
  readonly findShare: (key: string) => Share;
}

/** Who wants a copy, and whom it asks first. */
export function findCopyShare(copies: CopyStore, key: string): Share {
  const host = copies.findRequest(key)?.source.host;
  return { ...copies.findShare(key), ...(host !== undefined && { host }) };
}

/** The queue of copies; works on one at a time until its concurrency is set. */
export function createCopyQueue({ clock, log, metrics, findShare }: CopyQueueDeps): WorkQueue {
  return new WorkQueue({
    name: 'copies',
    concurrency: 1,
    clock,
    log,
    backoff: COPY_BACKOFF,
    findShare,
    metrics: metrics.forQueue('copies'),
  });
}

export interface CopyLoopDeps {
  readonly copies: CopyStore;
  readonly registry: ImageRegistry;
  readonly settings: () => Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'copies' | 'copyDuration'>;
}

/** What is done for one copy. */
export function createCopyLoop(deps: CopyLoopDeps): Reconcile {
  const { clock, log, metrics } = deps;
  return createCopyReconciler({
    ...deps,
    log: log.child({ component: 'copies' }),
    nowMs: () => clock.nowMs(),
    random: Math.random,
    onCopied: (result, durationMs) => {
      metrics.copies.inc({ result });
      if (result === 'copied') {
        metrics.copyDuration.observe(durationMs / 1000);
      }
    },
  });
}

/** What of the settings is about registries. */
export function toRegistrySettings(settings: Settings): RegistrySettings {
  return {
    copyConcurrency: settings.COPY_CONCURRENCY,
    copyTimeoutMs: settings.COPY_TIMEOUT,
    insecureRegistries: settings.INSECURE_REGISTRIES,
    copyReferrers: settings.COPY_REFERRERS,
  };
}
