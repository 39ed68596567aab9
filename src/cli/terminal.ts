import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

/** Where a command writes and asks. */
export interface Terminal {
  /** What the command is for. Settles once it is written, so that the process may end. */
  print(text: string): Promise<void>;
  /** One line besides it: progress, warnings. */
  say(line: string): Promise<void>;
  /**
   * A line of progress in place of the one before, until something else is written; an empty one takes it away. Where
   * nobody watches nothing is written.
   */
  show(line: string): void;
  /** True when a person sits in front of it and can be asked. */
  readonly isInteractive: boolean;
  /** Whether the person says yes; anything else is a no. */
  ask(question: string): Promise<boolean>;
}

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** Back to the start of the line, and clear it. */
const CLEAR_LINE = '\r\u001B[2K';
const USUAL_COLUMNS = 80;

/** One line that is written over: a longer one would stay where it breaks. */
function createProgressLine(stream: NodeJS.WriteStream): Pick<Terminal, 'show'> {
  let isShown = false;
  return {
    show(line) {
      if (!stream.isTTY || (line === '' && !isShown)) {
        return;
      }
      isShown = line !== '';
      stream.write(CLEAR_LINE + line.slice(0, (stream.columns || USUAL_COLUMNS) - 1));
    },
  };
}

function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

export function createTerminal({ stdin, stdout, stderr }: Streams): Terminal {
  for (const stream of [stdout, stderr]) {
    // Thrown where it is written, too.
    stream.on('error', () => undefined);
  }
  const { show } = createProgressLine(stderr);
  return {
    print(text) {
      show('');
      return write(stdout, text);
    },
    say(line) {
      show('');
      return write(stderr, `${line}\n`);
    },
    show,
    isInteractive: stdin.isTTY && stderr.isTTY,
    async ask(question) {
      show('');
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        lines.on('SIGINT', () => lines.close());
        const end = once(lines, 'close').then(() => '');
        const answer = await Promise.race([lines.question(`${question} [y/N] `), end]);
        return /^y(?:es)?$/i.test(answer.trim());
      } finally {
        lines.close();
      }
    },
  };
}
