import type { Logger } from 'pino';
import { vi } from 'vitest';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A logger that keeps its lines. */
export function memoryLog(): Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  readonly lines: LogLine[];
} {
  const lines: LogLine[] = [];
  const write = (level: string) => (facts: Record<string, unknown>, message: string) => {
    lines.push({ level, message, facts });
  };
  const levels = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  return { ...(levels as unknown as Logger), lines };
}

/** Our timers and clocks; those inside Node's network stack stay real. */
export function fakeTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
}

/** Lets network and promises go on, without any time passing for us, until something holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const MANY = 50_000;
  for (let turn = 0; turn < MANY; turn++) {
    if (holds()) {
      return;
    }
    await nextTurn();
  }
  throw new Error(`never happened: ${what}`);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Lets everything that is already under way come to an end, for tests of what must not happen. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) {
    await nextTurn();
  }
}
