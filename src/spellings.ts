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
/** Of a secret whose escapes were undone; as it is written, it counts at any length. */
const SHORTEST_READING = 8;

/** What is sought, and for each length that has matched: how much has still matched when the next byte does not. */
interface Pattern {
  readonly bytes: Buffer;
  readonly steps: Int32Array;
}

/** What one secret is sought as: in a text as it is, and in one whose Base64 is in the standard alphabet. */
interface Patterns {
  readonly plain: readonly Pattern[];
  readonly encoded: readonly Pattern[];
}

/**
 * Where a text has one of the secrets, in bytes: as it is, escaped as in JSON, URLs and HTML, also more than once, or in
 * Base64, alone or inside of something longer; at the end of the text, which may have been cut, the beginning of one is
 * enough. The time it takes grows with the text for each secret, however long that is and whatever the text says.
 */
export function findSpellings(text: string, secrets: readonly string[]): readonly Span[] {
  const known = [...new Set(secrets)].filter((secret) => secret !== '');
  if (known.length === 0) {
    return [];
  }
  let reading: Reading | undefined = readAsWritten(text);
  // What is longer than the text can only begin in it.
  const longest = reading.bytes.length + 1;
  const readings = new Set(known.flatMap((secret) => listReadings(secret)));
  const patterns = [...readings].map((bytes) => planPatterns(bytes.slice(0, longest)));
  const spans: Span[] = [];
  for (let round = 0; reading && round <= MOST_ESCAPES; round += 1) {
    findIn(reading, patterns, spans);
    reading = undoEscapes(reading);
  }
  return joinSpans(spans.toSorted(([one], [other]) => one - other));
}

/**
 * One that has what looks like an escape is found where that was undone along with others. Of what is short then nothing is
 * left that would not be in any text.
 */
function listReadings(secret: string): readonly string[] {
  const readings = [toBytes(secret)];
  for (let round = 0; round < MOST_ESCAPES; round += 1) {
    readings.push((readings.at(-1) ?? '').replaceAll(ESCAPE, unescape));
  }
  return readings.filter((bytes, round) => round === 0 || bytes.length >= SHORTEST_READING);
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
  const newStarts = new Int32Array(bytes.length);
  const newEnds = new Int32Array(bytes.length);
  let size = 0;
  let done = 0;
  const keepUpTo = (end: number): void => {
    for (; done < end; done += 1, size += 1) {
      newStarts[size] = starts[done] ?? 0;
      newEnds[size] = ends[done] ?? 0;
    }
  };
  const undone = bytes.replaceAll(ESCAPE, (escape: string, index: number) => {
    keepUpTo(index);
    done = index + escape.length;
    const meant = unescape(escape);
    // Each of them stands for all, in both directions.
    for (const end = size + meant.length; size < end; size += 1) {
      newStarts[size] = starts[index] ?? 0;
      newEnds[size] = ends[done - 1] ?? 0;
    }
    return meant;
  });
  if (done === 0) {
    return undefined;
  }
  keepUpTo(bytes.length);
  return { bytes: undone, starts: newStarts, ends: newEnds };
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

function planPatterns(secret: string): Patterns {
  return {
    plain: [...new Set([secret, secret.replaceAll(' ', '+')])].map(planPattern),
    encoded: listEncoded(secret).map(planPattern),
  };
}

function findIn({ bytes, starts, ends }: Reading, patterns: readonly Patterns[], spans: Span[]): void {
  const plain = Buffer.from(bytes, 'latin1');
  const standard = Buffer.from(bytes.replaceAll('-', '+').replaceAll('_', '/'), 'latin1');
  for (const pattern of patterns) {
    const found = [
      ...pattern.plain.flatMap((form) => findAll(plain, form)),
      ...pattern.encoded.flatMap((form) => findAll(standard, form)),
    ];
    for (const [start, end] of found) {
      spans.push([starts[start] ?? 0, ends[end - 1] ?? 0]);
    }
  }
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
function findAll(text: Buffer, { bytes, steps }: Pattern): readonly Span[] {
  const spans: Span[] = [];
  // Nothing is found before, nor anything at all without it.
  const first = text.indexOf(bytes.subarray(0, SHORTEST_PART));
  let matched = 0;
  for (let index = first < 0 ? text.length : first; index < text.length; index += 1) {
    const byte = text[index];
    while (matched > 0 && byte !== bytes[matched]) {
      matched = steps[matched - 1] as number;
    }
    if (byte === bytes[matched]) {
      matched += 1;
      if (matched === bytes.length) {
        addSpan(spans, [index + 1 - matched, index + 1]);
        matched = steps[matched - 1] as number;
      }
    }
  }
  if (matched >= SHORTEST_PART) {
    addSpan(spans, [text.length - matched, text.length]);
  }
  return spans;
}

function planPattern(pattern: string): Pattern {
  const bytes = Buffer.from(pattern, 'latin1');
  const steps = new Int32Array(bytes.length);
  let matched = 0;
  for (let index = 1; index < bytes.length; index += 1) {
    while (matched > 0 && bytes[index] !== bytes[matched]) {
      matched = steps[matched - 1] ?? 0;
    }
    matched += bytes[index] === bytes[matched] ? 1 : 0;
    steps[index] = matched;
  }
  return { bytes, steps };
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
