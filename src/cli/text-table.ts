import { toPlainText } from '../plain-text.ts';

const LONGEST_CELL = 600;

/**
 * Aligned columns, as kubectl prints them; the last one has no end. Whatever a cell holds, it stays on its line and
 * sends nothing to the terminal but letters.
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [header, ...rows].map((row) => row.map((cell) => toPlainText(cell, LONGEST_CELL)));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** One object per command, stable for programs. Line and control characters are escaped by JSON itself. */
export function formatJson(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
