import { expect, it } from 'vitest';

import { hideSecrets, quoteRegistryError, toPlainText } from '../src/plain-text.ts';

it.each([
  ['one\ntwo\tthree\u0000', 'one two three'],
  ['Get "https://u:p@h.io/a/b?sig=s3cret#x": EOF', 'Get "https://h.io/a/b": EOF'],
  ['see https://h.io/a/b.', 'see https://h.io/a/b.'],
  ['sent Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5', 'sent Authorization: Bearer [hidden]'],
  ['\u202Eevil\u2028x', 'evil x'],
  ['dial tcp [::1]:5000: connect: connection refused', 'dial tcp [::1]:5000: connect: connection refused'],
])('makes %j plain', (text, plain) => {
  expect(toPlainText(text)).toBe(plain);
});

it('cuts what is too long, between characters', () => {
  expect(toPlainText('😀'.repeat(300), 10)).toBe(`${'😀'.repeat(9)}…`);
});

it('takes no time over long hostile text', () => {
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

it('hides what we sent when it comes back', () => {
  expect(hideSecrets('you said hunter2, hunter2!', ['hunter2', ''])).toBe('you said [hidden], [hidden]!');
});
