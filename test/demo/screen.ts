import { stripVTControlCharacters, styleText } from 'node:util';

import type { SlotProgress, Stage } from './progress.ts';

const STYLES = {
  'left alone': 'gray',
  waiting: 'yellow',
  copied: 'cyan',
  swapped: 'blue',
  running: 'green',
} as const satisfies Record<Stage, Parameters<typeof styleText>[0]>;

const HEAD = ['WORKLOAD', 'SLOT', 'STAGE', 'PODS', 'IMAGE'];

/** Long digests are cut: the reader compares the first characters, the demo compares all of them. */
function shorten(image: string): string {
  return image.replace(/@sha256:([0-9a-f]{8})[0-9a-f]+$/, '@sha256:$1…');
}

function toCells(row: SlotProgress): readonly string[] {
  const isSwapped = row.stage === 'swapped' || row.stage === 'running';
  const image = isSwapped ? shorten(row.to) : row.from;
  return [row.workload, row.slot, styleText(STYLES[row.stage], row.stage), row.pods, image];
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - stripVTControlCharacters(cell).length));
}

/** The table as lines; the last column is not padded. */
function formatTable(rows: readonly SlotProgress[]): readonly string[] {
  const cells = [HEAD.map((title) => styleText('bold', title)), ...rows.map(toCells)];
  const widths = HEAD.map((_, column) =>
    Math.max(...cells.map((row) => stripVTControlCharacters(row[column] ?? '').length)),
  );
  return cells.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column] ?? 0))).join('  '),
  );
}

/** On a terminal the table is repainted in place; elsewhere a line is printed for every slot that got further. */
export class Screen {
  readonly #out: NodeJS.WriteStream;
  #paintedLines = 0;
  readonly #seen = new Map<string, string>();

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** A line of the story; what was painted before stays above it. */
  say(text: string): void {
    this.#paintedLines = 0;
    this.#out.write(`${text}\n`);
  }

  show(rows: readonly SlotProgress[]): void {
    if (this.#out.isTTY) {
      this.#repaint(formatTable(rows));
      return;
    }
    for (const row of rows) {
      this.#printIfNew(row);
    }
  }

  #repaint(lines: readonly string[]): void {
    const width = this.#out.columns;
    const fitting = lines.map((line) =>
      stripVTControlCharacters(line).length > width ? cut(line, width) : line,
    );
    const up = this.#paintedLines > 0 ? `\x1b[${this.#paintedLines}A` : '';
    this.#out.write(`${up}${fitting.map((line) => `\x1b[2K${line}\n`).join('')}`);
    this.#paintedLines = fitting.length;
  }

  #printIfNew(row: SlotProgress): void {
    const key = `${row.workload} ${row.slot}`;
    const state = `${row.stage} ${row.pods}`;
    if (this.#seen.get(key) !== state) {
      this.#seen.set(key, state);
      const [workload = '', slot = '', stage = '', pods = '', image = ''] =
        toCells(row).map(stripVTControlCharacters);
      this.#out.write(
        `  ${workload.padEnd(32)} ${slot.padEnd(8)} ${stage.padEnd(10)} ${pods.padEnd(5)} ${image}\n`,
      );
    }
  }
}

/** The image is the last column, so cutting the end loses the least. */
function cut(line: string, width: number): string {
  const surplus = stripVTControlCharacters(line).length - width + 1;
  return `${line.slice(0, line.length - surplus)}…`;
}
