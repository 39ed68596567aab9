import { readFile } from 'node:fs/promises';

/** CPU time that a process has used so far. */
export interface CpuTime {
  readonly ownMs: number;
  /** Of its children that have ended, and of theirs. */
  readonly childrenMs: number;
}

/** Linux counts in hundredths of a second, for whoever reads it here. */
const TICK_MS = 10;

/** Positions after the name of the process, which may hold anything. */
const FIELD = { user: 11, system: 12, childrenUser: 13, childrenSystem: 14 } as const;

export async function readCpuTime(processId: number | undefined): Promise<CpuTime> {
  const text = await readFile(`/proc/${processId}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const readMs = (field: keyof typeof FIELD): number => Number(fields[FIELD[field]]) * TICK_MS;
  return {
    ownMs: readMs('user') + readMs('system'),
    childrenMs: readMs('childrenUser') + readMs('childrenSystem'),
  };
}
