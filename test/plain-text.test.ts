import { expect, it } from 'vitest';

import { hideSecrets, quoteRegistryError, toPlainText } from '../src/plain-text.ts';
import { LINEAR, measureGrowth } from './support/growth.ts';

it.each([
  ['one\ntwo\tthree\u0000', 'one two three'],
  ['Get "https://u:p@h.io/a/b?sig=s3cret#x": EOF', 'Get "https://h.io/a/b": EOF'],
  ['see https://h.io/a/b.', 'see https://h.io/a/b.'],
  ['sent Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5', 'sent Authorization: Bearer [hidden]'],
  ['invalid token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl!', 'invalid token [hidden]!'],
  ['\u202Eevil\u2028x', 'evil x'],
  ['dial tcp [::1]:5000: connect: connection refused', 'dial tcp [::1]:5000: connect: connection refused'],
])('makes %j plain', (text, plain) => {
  expect(toPlainText(text)).toBe(plain);
});

it('cuts what is too long, between characters', () => {
  expect(toPlainText('😀'.repeat(300), 10)).toBe(`${'😀'.repeat(9)}…`);
});

it('takes no time over long hostile text', { tags: 'attack-text' }, () => {
  const startedAtMs = performance.now();
  toPlainText('https://'.repeat(100_000));
  toPlainText('a'.repeat(1_000_000));
  quoteRegistryError(`"errors":[${'"message":"\\'.repeat(100_000)}`);
  expect(performance.now() - startedAtMs).toBeLessThan(500);
});

it.each([
  ['x: {"errors":[{"code":"DENIED","message":"no\\nway"}]}', 'DENIED: no way'],
  ['{"errors":[{"code":"UNKNOWN"}]}', 'UNKNOWN'],
  ['{"errors":[{"message":"just words, cut', undefined],
  ['<html>bad gateway</html>', undefined],
  ['', undefined],
])('quotes of %j the first error', (text, quoted) => {
  expect(quoteRegistryError(text)).toBe(quoted);
});

it('hides what we sent when it comes back', { tags: 'attack-secret' }, () => {
  expect(hideSecrets('you said hunter2, hunter2!', ['hunter2', ''])).toBe('you said [hidden], [hidden]!');
});

/** With characters that JSON, URLs and HTML escape, and some that nobody has to. */
const SECRET = 'p"ä/s\\w+rd &<😀>%41~é';
const URL_ENCODED = encodeURIComponent(SECRET);
const UNICODE = SECRET.replaceAll(
  /[\s\S]/g,
  (unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
);
const encode = (text: string): string => Buffer.from(text).toString('base64');

it.each<[string, string]>([
  ['in JSON', JSON.stringify(SECRET).slice(1, -1)],
  [
    'in JSON with slashes escaped',
    JSON.stringify(SECRET)
      .slice(1, -1)
      .replaceAll('/', String.raw`\/`),
  ],
  ['in JSON in JSON', JSON.stringify(JSON.stringify(SECRET)).slice(3, -3)],
  ['in JSON with every character escaped', UNICODE],
  [
    'in JSON with every character escaped in upper case',
    UNICODE.toUpperCase().replaceAll(String.raw`\U`, String.raw`\u`),
  ],
  ['in a URL', URL_ENCODED],
  ['in a URL in lower case', URL_ENCODED.replaceAll(/%../g, (hex) => hex.toLowerCase())],
  ['in a URL twice', encodeURIComponent(URL_ENCODED)],
  ['in a URL three times', encodeURIComponent(encodeURIComponent(URL_ENCODED))],
  ['in a URL with every byte escaped', Buffer.from(SECRET).toString('hex').replaceAll(/../g, '%$&')],
  ['in a form', new URLSearchParams({ x: SECRET }).toString().slice(2)],
  ['in a URL in JSON', JSON.stringify(encodeURIComponent(SECRET)).slice(1, -1)],
  ['in JSON in a URL', encodeURIComponent(JSON.stringify(SECRET).slice(1, -1))],
  ['in HTML', SECRET.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&#34;')],
  ['in Base64', encode(SECRET)],
  ['in Base64 without padding', encode(SECRET).replaceAll('=', '')],
  ['in Base64 for URLs', Buffer.from(SECRET).toString('base64url')],
  ['in Base64 in a URL', encodeURIComponent(encode(SECRET))],
])('hides what we sent when it comes back %s', { tags: 'attack-secret' }, (_, spelled) => {
  const hidden = hideSecrets(`you said »${spelled}«, é`, ['other', SECRET]);
  // The last character of Base64, before its padding, may belong to what follows.
  expect(hidden).toMatch(/^you said »\[hidden\](?:[\w+/]?(?:=|%3D){0,2})«, é$/);
});

it.each(['', 'u:', 'me:', '{"'])(
  'hides what we sent in Base64 of something that begins with %j',
  { tags: 'attack-secret' },
  (before) => {
    const hidden = hideSecrets(encode(`${before}s3cret-of-ours and more`), ['s3cret-of-ours']);
    expect(hidden).toContain('[hidden]');
    expect(Buffer.from(hidden.replace('[hidden]', ''), 'base64').toString()).not.toMatch(/s3c|cret|ours/);
  },
);

it('hides the beginning of what we sent where the text was cut', { tags: 'attack-secret' }, () => {
  expect(hideSecrets('you said s3cret-of-ou', ['s3cret-of-ours'])).toBe('you said [hidden]');
  expect(hideSecrets('you said s3c', ['s3cret-of-ours'])).toBe('you said s3c');
});

it('leaves alone what only looks like it', () => {
  const text = 'd%C3%A9j\\u00e0 vu & s3cret: 100% &amp; [é]';
  expect(hideSecrets(text, ['s3cret-of-ours', 'x'.repeat(100_000)])).toBe(text);
});

it('hides secrets that overlap as one', () => {
  expect(hideSecrets('-aaaaa-abc-', ['aa', 'ab', 'bc'])).toBe('-[hidden]-[hidden]-');
});

it('hides no letter because a secret stands for it in HTML', { tags: 'attack-secret' }, () => {
  expect(hideSecrets('eee &#0000101;', ['&#0000101;', '%25252565'])).toBe('eee [hidden]');
});

it('hides a short password wherever it is', { tags: 'attack-secret' }, () => {
  expect(hideSecrets('you said %41a, in a URL %2541a', ['%41a'])).toBe(
    'you said [hidden], in a URL [hidden]',
  );
});

it.each<[string, (size: number) => [text: string, secrets: readonly string[]]]>([
  ['with one beginning over and over', (size) => ['a'.repeat(size), beginLike('a'.repeat(size / 2))]],
  ['full of escapes', (size) => ['%25'.repeat(size / 3), ['%'.repeat(size)]]],
  [
    'full of escapes of escapes, as are the secrets',
    (size) => ['%252541'.repeat(size / 7), beginLike('%252541'.repeat(size / 14))],
  ],
])('a text %s takes as long as any other of its size', { tags: 'attack-secret' }, (_, build) => {
  const work = ([text, secrets]: ReturnType<typeof build>) => hideSecrets(text, secrets);
  expect(measureGrowth({ prepare: build, work, size: 64_000 })).toBeLessThan(LINEAR);
});

function beginLike(text: string): readonly string[] {
  return [`${text}b`, `b${text}`];
}
