/**
 * The copy path of the controller in a process of its own, so that its time, CPU and memory can be told from those of
 * the bench: reconciler, store, queue and registries are the real ones, put together as src/commands/loops.ts does.
 *
 * Takes a `CopyOrder` as a message of its parent and answers with a `CopyOutcome`, as often as asked. Logs go to
 * standard output, as they do in a cluster.
 */
import { systemClock } from '../../src/clock.ts';
import { planCopyPasses } from '../../src/commands/loops.ts';
import { parseReference } from '../../src/images/reference.ts';
import { WorkQueue } from '../../src/queue/work-queue.ts';
import { createCopyReconciler } from '../../src/reconcile/copy-reconciler.ts';
import type { CopyRequest } from '../../src/reconcile/copy-state.ts';
import { CopyStore } from '../../src/reconcile/copy-store.ts';
import { createImageRegistry } from '../../src/registry/image-registry.ts';
import { parseSettings } from '../../src/settings.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { CopyOrder, CopyOutcome } from './controller-process.ts';

const COPY_BACKOFF = { firstMs: 1_000, longestMs: 10 * 60_000 };

const log = createLog();
const metrics = createMetrics('bench', () => ({ copies: {}, rollouts: 0 }));

function toRequest({ source, digest }: CopyOrder['images'][number]): CopyRequest {
  const isProven = digest !== undefined;
  return { source: parseReference(source), isProven, ...(isProven && { digest }) };
}

/** Resolves when every copy has settled for the first time, with success or not. */
async function settleAll(order: CopyOrder): Promise<Pick<CopyOutcome, 'copied' | 'found' | 'failed'>> {
  const settings = parseSettings(order.settings, {});
  const results = { copied: 0, found: 0, failed: 0 };
  const registry = createImageRegistry({
    settings: () => ({
      copyConcurrency: settings.COPY_CONCURRENCY,
      copyTimeoutMs: settings.COPY_TIMEOUT,
      insecureRegistries: settings.INSECURE_REGISTRIES,
      copyReferrers: settings.COPY_REFERRERS,
    }),
    configFolder: undefined,
    program: order.program,
    environment: process.env,
    clock: systemClock,
  });
  const waiting = new Set(order.images.map((_, index) => `Deployment/bench/${index}`));
  const allSettled = Promise.withResolvers<void>();
  const copies = new CopyStore({
    onWanted: (key) => queue.add(key),
    onSettled: (workloadKey) => {
      waiting.delete(workloadKey);
      if (waiting.size === 0) {
        allSettled.resolve();
      }
    },
  });
  const queue = new WorkQueue({
    name: 'copies',
    concurrency: planCopyPasses(settings),
    reconcile: createCopyReconciler({
      copies,
      registry,
      settings: () => settings,
      log: log.child({ component: 'copies' }),
      nowMs: () => systemClock.nowMs(),
      random: Math.random,
      onCopied: (result, durationMs) => {
        results[result] += 1;
        metrics.copies.inc({ result });
        if (result === 'copied') {
          metrics.copyDuration.observe(durationMs / 1000);
        }
      },
    }),
    clock: systemClock,
    log,
    backoff: COPY_BACKOFF,
    metrics: metrics.forQueue('copies'),
  });
  queue.start();
  for (const [index, image] of order.images.entries()) {
    copies.want(`Deployment/bench/${index}`, [toRequest(image)]);
  }
  await allSettled.promise;
  await queue.drain(60_000);
  registry.close();
  return results;
}

async function carryOut(order: CopyOrder): Promise<CopyOutcome> {
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  const results = await settleAll(order);
  const wallMs = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { ...results, wallMs, cpuMs: (user + system) / 1000 };
}

process.on('message', (order: CopyOrder) => {
  void carryOut(order).then((outcome) => process.send?.(outcome));
});
