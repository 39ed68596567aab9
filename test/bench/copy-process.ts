/**
 * The copy path of the controller in a process of its own, so that its time, CPU and memory can be told from those of
 * the bench: reconciler, store, queue and registries are the real ones, put together by src/runtime/loops/copy-loop.ts.
 *
 * Takes a `CopyOrder` as a message of its parent and answers with a `CopyOutcome`, as often as asked. Logs go to
 * standard output, as they do in a cluster.
 */
import { systemClock } from '../../src/clock.ts';
import {
  createCopyLoop,
  createCopyQueue,
  findCopyShare,
  planCopyPasses,
  toRegistrySettings,
} from '../../src/runtime/loops/copy-loop.ts';
import { parseReference } from '../../src/images/reference.ts';
import type { CopyRequest } from '../../src/reconcile/copies/copy-state.ts';
import { CopyStore } from '../../src/reconcile/copies/copy-store.ts';
import { createImageRegistry } from '../../src/registry/image-registry.ts';
import { parseSettings } from '../../src/settings/settings.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { CopyOrder, CopyOutcome } from './controller-process.ts';

const log = createLog();
const metrics = createMetrics('bench');

function toRequest({ source, digest }: CopyOrder['images'][number]): CopyRequest {
  const isProven = digest !== undefined;
  return { source: parseReference(source), isProven, ...(isProven && { digest }) };
}

/** Resolves when every copy has settled for the first time, with success or not. */
async function settleAll(order: CopyOrder): Promise<void> {
  const settings = parseSettings(order.settings, {});
  const registry = createImageRegistry({
    settings: () => toRegistrySettings(settings),
    configFolder: undefined,
    program: order.program,
    environment: process.env,
    clock: systemClock,
  });
  const waiting = new Set(order.images.map((_, index) => `Deployment/bench/${index}`));
  const allSettled = Promise.withResolvers<void>();
  const queue = createCopyQueue({
    clock: systemClock,
    log,
    metrics,
    findShare: (key) => findCopyShare(copies, key),
  });
  const copies: CopyStore = new CopyStore({
    onWanted: (key) => queue.add(key),
    onSettled: (workloadKey) => {
      waiting.delete(workloadKey);
      if (waiting.size === 0) {
        allSettled.resolve();
      }
    },
  });
  queue.setConcurrency(planCopyPasses(settings));
  queue.start(
    createCopyLoop({ copies, registry, settings: () => settings, clock: systemClock, log, metrics }),
  );
  for (const [index, image] of order.images.entries()) {
    copies.want(`Deployment/bench/${index}`, [toRequest(image)]);
  }
  await allSettled.promise;
  await queue.drain(60_000);
  registry.close();
}

/** Of this process, since it began. */
async function countCopies(result: 'copied' | 'found' | 'failed'): Promise<number> {
  const { values } = await metrics.copies.get();
  return values.find(({ labels }) => labels['result'] === result)?.value ?? 0;
}

async function carryOut(order: CopyOrder): Promise<CopyOutcome> {
  const before = [
    await countCopies('copied'),
    await countCopies('found'),
    await countCopies('failed'),
  ] as const;
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  await settleAll(order);
  const wallMs = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    copied: (await countCopies('copied')) - before[0],
    found: (await countCopies('found')) - before[1],
    failed: (await countCopies('failed')) - before[2],
    wallMs,
    cpuMs: (user + system) / 1000,
  };
}

process.on('message', (order: CopyOrder) => {
  void carryOut(order).then((outcome) => process.send?.(outcome));
});
