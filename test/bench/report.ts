/** One line of the table. */
export interface Finding {
  readonly part: Part;
  readonly what: string;
  readonly figure: string;
  readonly goal?: string;
  readonly isMet?: boolean;
  /** Counts are facts: one that misses its goal fails the run. Times and sizes depend on the machine. */
  readonly isCount?: boolean;
}

export const PARTS = ['a', 'b', 'c', 'layers', 'memory', 'limits', 'cluster', 'scale'] as const;
export type Part = (typeof PARTS)[number];

const HEADER = ['part', 'what', 'figure', 'goal', 'met'];

/** A table in Markdown, with its columns aligned. */
export function formatTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ part, what, figure, goal = '', isMet }) => [
    part,
    what,
    figure,
    goal,
    isMet === undefined ? '' : isMet ? 'yes' : '**no**',
  ]);
  const widths = HEADER.map((title, column) =>
    Math.max(...[HEADER, ...rows].map((row) => (row[column] ?? title).length)),
  );
  const lines = [HEADER, widths.map((width) => '-'.repeat(width)), ...rows].map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  return lines.join('\n');
}

export function isFailed({ isCount = false, isMet = true }: Finding): boolean {
  return isCount && !isMet;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export function formatMib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
}
