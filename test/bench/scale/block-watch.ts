/** The main thread alone: whatever else has the processor meanwhile is not counted. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

export interface BlockWatch {
  /** The longest time, of CPU, for which no timer of this process got its turn; in milliseconds. */
  end(): number;
}

/** Does not keep the process alive. */
export function watchBlocks(everyMs: number): BlockWatch {
  let longestMs = 0;
  let lastMs = threadCpuMs();
  const look = (): void => {
    const nowMs = threadCpuMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    end() {
      clearInterval(timer);
      look();
      return longestMs;
    },
  };
}
