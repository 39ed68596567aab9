import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

/** Where a command writes and asks. */
export interface Terminal {
  /** What the command is for. Settles once it is written, so that the process may end. */
  print(text: string): Promise<void>;
  /** One line besides it: progress, warnings. */
  say(line: string): Promise<void>;
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
  return {
    print: (text) => write(stdout, text),
    say: (line) => write(stderr, `${line}\n`),
    isInteractive: stdin.isTTY && stderr.isTTY,
    async ask(question) {
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
