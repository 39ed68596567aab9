function formatRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
}

/** A table, without a line break at its end. */
export function formatMarkdownTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  return [columns, columns.map(() => '---'), ...rows].map(formatRow).join('\n');
}
