/** From the first byte up to, and without, the last. */
export type Span = readonly [start: number, end: number];

/** A text, and for each of its bytes where that is in the bytes of the text as it was written. */
interface Reading {
  /** One character for each byte. */
  readonly bytes: string;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Text in a URL in a JSON string in a URL. */
const MOST_ESCAPES = 3;
/** As JSON, URLs and HTML spell characters. */
const ESCAPE =
  /(?:\\u[0-9a-f]{4})+|\\["\\/bfnrt]|%[0-9a-f]{2}|&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-f]{1,6});/gi;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** Less of a secret at the end of a text says nothing, and may be anything. */
const SHORTEST_PART = 6;

/**
 * Where a text has one of the secrets, in bytes: as it is, escaped as in JSON, URLs and HTML, also more than once, or in
 * Base64, alone or inside of something longer; at the end of the text, which may have been cut, the beginning of one is
 * enough. The time it takes grows with the text for each secret, however long that is and whatever the text says.
 */
export function findSpellings(text: string, secrets: readonly string[]): readonly Span[] {
  const known = [...new Set(secrets)]
    .filter((secret) => secret !== '')
    .flatMap((secret) => listReadings(secret));
  const spans: Span[] = [];
  let reading: Reading | undefined = known.length === 0 ? undefined : readAsWritten(text);
  for (let round = 0; reading && round <= MOST_ESCAPES; round += 1) {
    spans.push(...known.flatMap((secret) => findIn(reading as Reading, secret)));
    reading = undoEscapes(reading);
  }
  return joinSpans(spans.toSorted(([one], [other]) => one - other));
}

/** One that has what looks like an escape is found where that was undone along with others. */
function listReadings(secret: string): readonly string[] {
  const readings: string[] = [];
  let reading: Reading | undefined = readAsWritten(secret);
  for (let round = 0; reading && round <= MOST_ESCAPES; round += 1) {
    readings.push(reading.bytes);
    reading = undoEscapes(reading);
  }
  return readings.filter((bytes) => bytes !== '');
}

function toBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function readAsWritten(text: string): Reading {
  const bytes = toBytes(text);
  const positions = Int32Array.from({ length: bytes.length + 1 }, (_, index) => index);
  return { bytes, starts: positions.subarray(0, -1), ends: positions.subarray(1) };
}

/** Undefined when there are none. */
function undoEscapes({ bytes, starts, ends }: Reading): Reading | undefined {
  const pieces: string[] = [];
  const newStarts = new Int32Array(bytes.length);
  const newEnds = new Int32Array(bytes.length);
  let size = 0;
  let done = 0;
  const keepUpTo = (end: number): void => {
    newStarts.set(starts.subarray(done, end), size);
    newEnds.set(ends.subarray(done, end), size);
    pieces.push(bytes.slice(done, end));
    size += end - done;
  };
  for (const { 0: escape, index } of bytes.matchAll(ESCAPE)) {
    keepUpTo(index);
    done = index + escape.length;
    const meant = unescape(escape);
    pieces.push(meant);
    // Each of them stands for all, in both directions.
    newStarts.fill(starts[index] ?? 0, size, size + meant.length);
    newEnds.fill(ends[done - 1] ?? 0, size, size + meant.length);
    size += meant.length;
  }
  if (done === 0) {
    return undefined;
  }
  keepUpTo(bytes.length);
  return { bytes: pieces.join(''), starts: newStarts, ends: newEnds };
}

function unescape(escape: string): string {
  if (escape.startsWith('\\')) {
    return toBytes(JSON.parse(`"${escape.toLowerCase()}"`) as string);
  }
  if (escape.startsWith('%')) {
    return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  }
  const name = escape.slice(1, -1).toLowerCase();
  const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
  return toBytes(ENTITIES[name] ?? (code <= 0x10_ffff ? String.fromCodePoint(code) : ''));
}

function findIn({ bytes, starts, ends }: Reading, secret: string): readonly Span[] {
  const plain = [secret, secret.replaceAll(' ', '+')].flatMap((form) => findAll(bytes, form));
  const standard = bytes.replaceAll('-', '+').replaceAll('_', '/');
  const encoded = listEncoded(secret).flatMap((form) => findAll(standard, form));
  return [...plain, ...encoded].map(([start, end]) => [starts[start] ?? 0, ends[end - 1] ?? 0]);
}

/**
 * Base64 of it, wherever in a longer text it begins: the characters that it alone decides. Of a short one these are so few
 * that anything could have them.
 */
function listEncoded(secret: string): readonly string[] {
  return [0, 1, 2]
    .map((before) => {
      const encoded = Buffer.from(`${'\0'.repeat(before)}${secret}`, 'latin1').toString('base64');
      const bits = 8 * (before + secret.length);
      return encoded.slice(Math.ceil((8 * before) / 6), Math.floor(bits / 6));
    })
    .filter((form) => form.length >= SHORTEST_PART);
}

/** As Knuth, Morris and Pratt do it: the time does not depend on what is sought. */
function findAll(text: string, sought: string): readonly Span[] {
  // What is longer than the text can only begin in it.
  const pattern = sought.slice(0, text.length + 1);
  const steps = planSteps(pattern);
  const spans: Span[] = [];
  let matched = 0;
  for (let index = 0; index < text.length; index += 1) {
    while (matched > 0 && (matched === pattern.length || text[index] !== pattern[matched])) {
      matched = steps[matched - 1] ?? 0;
    }
    matched += text[index] === pattern[matched] ? 1 : 0;
    if (matched === pattern.length) {
      addSpan(spans, [index + 1 - matched, index + 1]);
    }
  }
  if (matched >= SHORTEST_PART) {
    addSpan(spans, [text.length - matched, text.length]);
  }
  return spans;
}

/** For each length that has matched: how much has still matched when the next character does not. */
function planSteps(pattern: string): Int32Array {
  const steps = new Int32Array(pattern.length);
  let matched = 0;
  for (let index = 1; index < pattern.length; index += 1) {
    while (matched > 0 && pattern[index] !== pattern[matched]) {
      matched = steps[matched - 1] ?? 0;
    }
    matched += pattern[index] === pattern[matched] ? 1 : 0;
    steps[index] = matched;
  }
  return steps;
}

function joinSpans(sorted: readonly Span[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of sorted) {
    addSpan(joined, span);
  }
  return joined;
}

/** It begins at, or after, the beginning of the last one. */
function addSpan(spans: Span[], [start, end]: Span): void {
  const last = spans.at(-1);
  if (last && start <= last[1]) {
    spans[spans.length - 1] = [last[0], Math.max(last[1], end)];
  } else {
    spans.push([start, end]);
  }
}
