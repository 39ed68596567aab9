/** Longer lines lose their end: an error text can quote a whole answer of a registry. */
const LONGEST_LINE = 128 * 1024;

/** Cuts a stream of text into lines, holding at most one of them. */
export function createLineSplitter(onLine: (line: string) => void): {
  readonly write: (chunk: string) => void;
  readonly end: () => void;
} {
  let rest = '';
  const append = (part: string): void => {
    rest += part.slice(0, LONGEST_LINE - rest.length);
  };
  const flush = (): void => {
    const line = rest;
    rest = '';
    onLine(line);
  };
  return {
    write(chunk) {
      const parts = chunk.split('\n');
      for (const part of parts.slice(0, -1)) {
        append(part);
        flush();
      }
      append(parts.at(-1) ?? '');
    },
    end() {
      if (rest !== '') {
        flush();
      }
    },
  };
}
