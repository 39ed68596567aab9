import { readFileSync } from 'node:fs';

const INTERVAL_MS = 50;

export interface MemoryWatch {
  readonly mostBytes: number;
  /** Called once, with the most that the process ever had in memory. */
  readonly onExceeded: (bytes: number) => void;
}

/**
 * Watches how much memory a process takes, by what the kernel keeps as its peak: what it had between two looks is seen at
 * the next. Where there is no /proc, nothing is known and nothing is watched. Returns what ends the watch.
 */
export function watchMemory(pid: number, { mostBytes, onExceeded }: MemoryWatch): () => void {
  const timer = setInterval(() => {
    const bytes = readPeakBytes(pid);
    if (bytes === undefined || bytes > mostBytes) {
      clearInterval(timer);
    }
    if (bytes !== undefined && bytes > mostBytes) {
      onExceeded(bytes);
    }
  }, INTERVAL_MS);
  return () => clearInterval(timer);
}

/** Undefined for a process that is gone, and where the system does not tell. */
function readPeakBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
