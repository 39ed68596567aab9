const NEWLINE = 0x0a;
/** Far above the 1.5 MB that etcd takes of one object: whoever sends more is not the API server. */
const LONGEST_LINE_BYTES = 32 * 1024 * 1024;

/** Cuts a byte stream into JSON documents, one a line, across any chunk borders. */
export interface JsonLines<T> {
  /**
   * What was read of the documents completed by the chunk.
   *
   * @throws {SyntaxError} when a line is not JSON, or endless.
   */
  push(chunk: Buffer): Iterable<T>;
  /** True when the stream ended in the middle of a line. */
  hasRest(): boolean;
}

/** `read` takes what is needed from a document: neither it nor its text is kept until the next line comes. */
export function createJsonLines<T>(read: (document: unknown) => T): JsonLines<T> {
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  const keep = (piece: Buffer) => {
    pieces.push(piece);
    pieceBytes += piece.length;
    if (pieceBytes > LONGEST_LINE_BYTES) {
      throw new SyntaxError(`line longer than ${LONGEST_LINE_BYTES} bytes`);
    }
  };
  const takeLine = (end: Buffer): readonly T[] => {
    const line = pieces.length === 0 ? end : Buffer.concat([...pieces, end]);
    pieces = [];
    pieceBytes = 0;
    const text = line.toString('utf8').trim();
    return text === '' ? [] : [read(JSON.parse(text))];
  };
  return {
    *push(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        yield* takeLine(chunk.subarray(start, end));
        start = end + 1;
      }
      if (start < chunk.length) {
        keep(chunk.subarray(start));
      }
    },
    hasRest: () => pieceBytes > 0,
  };
}
