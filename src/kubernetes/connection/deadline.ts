/** A signal that is aborted when time runs out or the parent is aborted, whichever comes first. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** True when it was the time that ran out. */
  readonly expired: boolean;
  /** Counts from now again, optionally with another duration. */
  restart(ms?: number): void;
  /** Stops the time; the parent is still followed. */
  disarm(): void;
  /** Must be called when the work is done, else parent and timer hold on to it. */
  clear(): void;
}

export function createDeadline(ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let durationMs = ms;
  let expired = false;
  const expire = () => {
    expired = true;
    controller.abort();
  };
  const arm = () => setTimeout(expire, durationMs).unref();
  let timer = arm();
  const follow = () => controller.abort(parent?.reason);
  if (parent?.aborted) {
    follow();
  }
  parent?.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    restart(newMs) {
      if (newMs === undefined || newMs === durationMs) {
        timer.refresh();
        return;
      }
      durationMs = newMs;
      clearTimeout(timer);
      timer = arm();
    },
    disarm: () => clearTimeout(timer),
    clear() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', follow);
    },
  };
}
