/** Where progress is shown: one line repainted on a terminal, otherwise a line now and then. */
export interface Progress {
  /** Replaces what is shown at the moment. */
  show(text: string): void;
  /** A line that stays. */
  say(text: string): void;
}

const BETWEEN_LINES_MS = 15_000;
/** Back to the start of the line, and clear it. */
const REPAINT = '\r\u001B[2K';

export function createProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? repaintedLine(stream) : occasionalLines(stream);
}

function repaintedLine(stream: NodeJS.WriteStream): Progress {
  return {
    show: (text) => stream.write(REPAINT + text.slice(0, (stream.columns || 80) - 1)),
    say: (text) => stream.write(`${REPAINT}${text}\n`),
  };
}

function occasionalLines(stream: NodeJS.WriteStream): Progress {
  let shownAtMs = Date.now();
  return {
    show: (text) => {
      if (Date.now() - shownAtMs >= BETWEEN_LINES_MS) {
        shownAtMs = Date.now();
        stream.write(`${text}\n`);
      }
    },
    say: (text) => {
      shownAtMs = Date.now();
      stream.write(`${text}\n`);
    },
  };
}
