import { systemClock } from '../../../src/clock.ts';
import { WorkQueue } from '../../../src/queue/work-queue.ts';

/** CPU time per key of a queue whose reconciler does nothing, in microseconds. */
export async function measureQueue(keys: number): Promise<number> {
  const silent = () => undefined;
  const done = Promise.withResolvers<void>();
  let left = keys;
  const queue = new WorkQueue({
    name: 'bench',
    concurrency: 8,
    clock: systemClock,
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const before = process.cpuUsage();
  for (let key = 0; key < keys; key += 1) {
    queue.add(`Deployment/scale-${key % 50}/web-${key}`);
  }
  queue.start(async () => {
    left -= 1;
    if (left === 0) {
      done.resolve();
    }
    return {};
  });
  await done.promise;
  const { user, system } = process.cpuUsage(before);
  queue.shutDown();
  return (user + system) / keys;
}
