import PQueue from 'p-queue';

/** A few tasks at a time per key, in the order they came. */
export interface TurnQueues {
  /**
   * Runs the task when it is its turn. Aborting takes a waiting task out; a running one has to end by itself,
   * and keeps its turn until it has.
   */
  run<Result>(key: string, task: () => Promise<Result>, signal: AbortSignal): Promise<Result>;
  /** Keys with a task. */
  readonly size: number;
}

/** `concurrency` is asked with every task, so that it may change; by default one at a time. */
export function createTurnQueues(concurrency: () => number = () => 1): TurnQueues {
  const queues = new Map<string, PQueue>();
  return {
    get size() {
      return queues.size;
    },
    async run(key, task, signal) {
      signal.throwIfAborted();
      const queue = queues.get(key) ?? new PQueue();
      queue.concurrency = concurrency();
      queues.set(key, queue);
      const waiting = new AbortController();
      const stopWaiting = (): void => waiting.abort(signal.reason);
      signal.addEventListener('abort', stopWaiting, { once: true });
      const start = (): ReturnType<typeof task> => {
        signal.removeEventListener('abort', stopWaiting);
        return task();
      };
      try {
        return await queue.add(start, { signal: waiting.signal });
      } finally {
        signal.removeEventListener('abort', stopWaiting);
        if (queue.size === 0 && queue.pending === 0 && queues.get(key) === queue) {
          queues.delete(key);
        }
      }
    },
  };
}
