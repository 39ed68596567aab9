import { keepNewest } from '../../keep-newest.ts';
import type { WorkloadMemory } from './workload-memory.ts';

/** A try costs two dry runs, and policies change. */
const DENIED_MS = 3_600_000;
/** As many as may be stuck at a time; more are tried again. */
const MOST_PODS = 100;

type DeniedPods = Pick<WorkloadMemory, 'deniedPods'>;

/** Remembers that admission does not let a pod have the images of its template. */
export function noteDeniedPod(memory: DeniedPods, uid: string, nowMs: number): void {
  memory.deniedPods ??= new Map();
  keepNewest(memory.deniedPods, [uid, nowMs + DENIED_MS], MOST_PODS);
}

export function isDeniedPod({ deniedPods }: DeniedPods, uid: string, nowMs: number): boolean {
  return nowMs < (deniedPods?.get(uid) ?? 0);
}
