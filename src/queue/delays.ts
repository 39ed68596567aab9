import { type Clock, LONGEST_TIMER_MS } from '../clock.ts';

/** Appointments, one per key. */
export interface Delays {
  /** Does nothing when the key is due earlier anyway. */
  schedule(key: string, delayMs: number): void;
  /** Forgets the appointment, if there is one. */
  cancel(key: string): void;
  clear(): void;
}

export function createDelays(options: {
  readonly clock: Clock;
  readonly onDue: (key: string) => void;
}): Delays {
  const { clock, onDue } = options;
  const appointments = new Map<string, { readonly dueAtMs: number; readonly timer: NodeJS.Timeout }>();
  return {
    schedule(key, delayMs) {
      const dueAtMs = clock.monotonicMs() + delayMs;
      const earlier = appointments.get(key);
      if (earlier && earlier.dueAtMs <= dueAtMs) {
        return;
      }
      clearTimeout(earlier?.timer);
      const timer = setTimeout(
        () => {
          appointments.delete(key);
          onDue(key);
        },
        // A key that is due a little early does no harm.
        Math.min(delayMs, LONGEST_TIMER_MS),
      );
      appointments.set(key, { dueAtMs, timer });
    },
    cancel(key) {
      clearTimeout(appointments.get(key)?.timer);
      appointments.delete(key);
    },
    clear() {
      for (const { timer } of appointments.values()) {
        clearTimeout(timer);
      }
      appointments.clear();
    },
  };
}
