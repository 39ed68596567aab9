const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const SPACE = 0x20;
/** In an object, which has the depth 1. */
const LIST_DEPTH = 2;

/**
 * How many elements the lists of a JSON object have that are its own properties: the manifests of an index, the layers of
 * a manifest. Nothing is built of them, so that a million takes no memory; and their names do not matter, because the
 * engine takes `LAYERS` for `layers`, and of two lists with one name the last.
 */
export function countListed(body: Buffer): number {
  const lists = createCounter();
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0;
    if (byte > SPACE) {
      lists.add(byte);
    }
    if (byte === QUOTE) {
      at = findTextEnd(body, at);
    }
  }
  return lists.count();
}

interface ListCounter {
  /** To be told of every byte outside of texts that is no space. */
  add(byte: number): void;
  count(): number;
}

function createCounter(): ListCounter {
  let count = 0;
  let depth = 0;
  let isList = false;
  let before = 0;

  function open(byte: number): void {
    depth += 1;
    if (depth === LIST_DEPTH) {
      isList = byte === OPEN_LIST;
    }
  }

  /** An element ends here, and another one may begin. */
  function endElement(): void {
    if (depth === LIST_DEPTH && isList && before !== OPEN_LIST) {
      count += 1;
    }
  }

  return {
    add(byte) {
      if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        open(byte);
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        endElement();
        depth -= 1;
      } else if (byte === COMMA) {
        endElement();
      }
      before = byte;
    },
    count: () => count,
  };
}

/** Where the text that begins here ends; the end of everything when it does not. */
function findTextEnd(body: Buffer, start: number): number {
  let end = body.indexOf(QUOTE, start + 1);
  while (end !== -1 && isEscaped(body, end)) {
    end = body.indexOf(QUOTE, end + 1);
  }
  return end === -1 ? body.length : end;
}

function isEscaped(body: Buffer, at: number): boolean {
  let backslashes = 0;
  while (body[at - 1 - backslashes] === BACKSLASH) {
    backslashes += 1;
  }
  return backslashes % 2 === 1;
}

/** Where a value of a JSON text begins, or the next one: what is in a text as well is counted, too. */
const MARKS = Uint8Array.from({ length: 256 }, (_, byte) =>
  '{[:,'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

/** Nothing is built of them: in memory, 4 MB of `{},{}` are 130. */
export function hasMoreValues(body: Buffer, most: number): boolean {
  let count = 0;
  for (const byte of body) {
    count += MARKS[byte] ?? 0;
    if (count > most) {
      return true;
    }
  }
  return false;
}
