import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidImageError } from '../../src/errors.ts';
import {
  findReferenceProblem,
  findReference,
  formatReference,
  isDigest,
  isSameRepository,
  parseReference,
  quote,
  withDigest,
} from '../../src/images/reference.ts';
import { generateReferenceTexts, isUsable } from './differential.ts';
import { vectors } from './vectors.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** A table of texts, each with a name fit for a list of tests. */
function titled<Rest>(rows: Iterable<readonly [string, Rest]>): [string, string, Rest][] {
  return Array.from(rows, ([text, rest]) => [quote(text).slice(0, 80), text, rest]);
}

const usable = vectors.valid.filter((vector) => isUsable(vector.input, vector));

/** The library takes these, and no client can pull them. Every other valid vector is a source. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['host:0/x', 'the port of the host "host:0" is not between 1 and 65535'],
  ['host:65536/x', 'the port of the host "host:65536" is not between 1 and 65535'],
  ['host:99999/x', 'the port of the host "host:99999" is not between 1 and 65535'],
  ['host:99999999999999999999/x:1', 'the port of the host "host:99999999999999999999" is not between'],
  ['[::::]:99999/x', 'the port of the host "[::::]:99999" is not between 1 and 65535'],
  ['[:]/x', '"[:]" is not an IPv6 address'],
  ['[ABCD]/x', '"[ABCD]" is not an IPv6 address'],
  ['[1:2:3:4:5:6:7:8:9:a]/x', '"[1:2:3:4:5:6:7:8:9:a]" is not an IPv6 address'],
  ['my_registry.example.com/team/app:1.0', 'the host "my_registry.example.com" has an underscore'],
  ['my_registry.example.com/team/app', 'the host "my_registry.example.com" has an underscore'],
  ['my_registry.example.com/team/app:latest', 'the host "my_registry.example.com" has an underscore'],
  ['my__registry.example/x', 'the host "my__registry.example" has an underscore'],
  [`foo.bar_baz/x@${DIGEST}`, 'the host "foo.bar_baz" has an underscore'],
  [`foo_bar.com/${'a'.repeat(243)}`, 'the host "foo_bar.com" has an underscore'],
  [`${'a'.repeat(64)}.example/x`, `the host "${'a'.repeat(64)}.example" is longer than DNS allows`],
  [`${'a.'.repeat(150)}example/x`, 'is longer than DNS allows'],
  [`${'a.'.repeat(2_495)}examples/x`, 'it has 5000 characters, and no image needs more than 1000'],
]);

describe('an image text that the reference library accepts', () => {
  it.each(titled(usable.map((vector) => [vector.input, vector])))(
    '%s is taken apart as the library does',
    (_, text, vector) => {
      const { host, repository, tag, digest } = vector;
      const reference = parseReference(text);
      expect(reference).toEqual({ host, repository, ...(tag && { tag }), ...(digest && { digest }) });
      expect(formatReference(reference)).toBe(vector.canonical);
      expect(parseReference(vector.canonical)).toEqual(reference);
    },
  );

  it.each(
    vectors.same.filter((texts) => texts.every((text) => !REFUSED.has(text))).map((texts) => ({ texts })),
  )('$texts.0 is one source in every spelling', ({ texts }) => {
    expect(new Set(texts.map((text) => formatReference(parseReference(text)))).size).toBe(1);
  });

  it('is another source when any part differs', () => {
    const canonical = new Set(usable.map((vector) => vector.canonical));
    const parts = new Set(
      usable.map(({ host, repository, tag, digest }) => [host, repository, tag, digest].join(' ')),
    );
    expect(canonical.size).toBe(parts.size);
  });
});

describe('an image text that no client can use', () => {
  it.each(titled(REFUSED))('%s is refused with its own sentence', (_, text, sentence) => {
    expect(() => parseReference(text)).toThrow(InvalidImageError);
    expect(() => parseReference(text)).toThrow(sentence);
  });

  it('is one of those listed, or a source', () => {
    const refused = vectors.valid.filter(({ input }) => findReferenceProblem(input) !== undefined);
    expect(refused.map(({ input }) => input).toSorted()).toEqual([...REFUSED.keys()].toSorted());
  });

  it.each([
    'host:1/x',
    'host:65535/x',
    'host:00080/x',
    '[FE80::1]/x',
    'Registry.Example.com/team/app:1.0',
    'FOO/bar',
    `${'a'.repeat(63)}.example/x`,
  ])('is not %s, which is odd but works', (text) => {
    expect(findReferenceProblem(text)).toBeUndefined();
  });
});

describe('an image text that the reference library refuses', () => {
  it.each(titled(vectors.invalid.map(({ input, why }) => [input, why])))(
    '%s is no source, and can be told in a log line',
    (_, text) => {
      expect(() => parseReference(text)).toThrow(InvalidImageError);
      expect(() => parseReference(text)).toThrow(
        /^image "[\x20-\x7e]+$|^image "" cannot be used: it is empty$/,
      );
    },
  );

  it.each(
    titled([
      ['', 'it is empty'],
      ['nginx ', 'the character " " is not allowed'],
      ['nginx\n', 'the character U+000A is not allowed'],
      ['nginх', 'the character U+0445 is not allowed'],
      ['nginx:🐋', 'the character U+1F40B is not allowed'],
      ['nginx:$(id)', 'the character "$" is not allowed'],
      ['docker://nginx', 'an image is written without "docker://"'],
      [`${'x'.repeat(900)}://y`, 'is not the host of a registry'],
      ['dir:/etc', '"dir:" is not the host of a registry'],
      ['ghcr.io/Acme/api', 'the repository has capital letters'],
      ['a..b', 'a repository is words of a-z and 0-9'],
      ['--config', 'a repository is words of a-z and 0-9'],
      ['nginx:', 'a tag has 1 to 128 letters'],
      [`nginx:${'a'.repeat(129)}`, 'a tag has 1 to 128 letters'],
      ['nginx@sha256:abc', 'what follows "@" is not a digest'],
      [`nginx@sha1:${'a'.repeat(40)}`, 'what follows "@" is not a digest'],
      ['a'.repeat(64), '64 hexadecimal digits are the ID of an image'],
      ['a'.repeat(248), 'the repository has 256 characters, and 255 is the limit'],
      ['x'.repeat(5_000), 'it has 5000 characters'],
    ]),
  )('%s is answered with what is wrong', (_, text, sentence) => {
    expect(findReferenceProblem(text)).toContain(sentence);
  });
});

describe('any text', () => {
  it('is refused in printable characters, and not too many, or not at all', () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 1_200 });
    fc.assert(
      fc.property(anyText, (text) => {
        expect(findReferenceProblem(text) ?? 'fine').toMatch(/^[\x20-\x7e]{1,400}$/);
        expect(quote(text)).toMatch(/^"[\x20-\x7e]{0,410}"$/);
      }),
    );
  });

  it('is found to be a reference, or to be none', () => {
    expect(findReference('nginx')).toEqual(parseReference('docker.io/library/nginx:latest'));
    expect(findReference('no image')).toBeUndefined();
  });

  it('is quoted in one line, and cut', { tags: 'attack-text' }, () => {
    expect(quote('a\n"é\u001B[31m\u202E🐋')).toBe(String.raw`"a?\"??[31m??"`);
    expect(quote('x'.repeat(201))).toBe(`"${'x'.repeat(200)}..."`);
  });

  it('that is a reference has a canonical text that reads back as the same', () => {
    const texts = generateReferenceTexts(1, 5_000).filter((text) => findReferenceProblem(text) === undefined);
    expect(texts.length).toBeGreaterThan(1_000);
    for (const text of texts) {
      const canonical = formatReference(parseReference(text));
      expect(canonical).toMatch(/^[a-zA-Z0-9[][a-zA-Z0-9_.:/@[\]-]+$/);
      expect(formatReference(parseReference(canonical))).toBe(canonical);
    }
  });

  it.each([
    ['letters', 'a'.repeat(5_000)],
    ['letters below the limit', `${'a'.repeat(990)}!`],
    ['dashes', `a${'-'.repeat(990)}`],
    ['dashes in a host', `a${'-'.repeat(980)}.b/x`],
    ['words in a host', `${'a-'.repeat(480)}./x`],
    ['dots in a host', `${'a.'.repeat(480)}/x`],
    ['words', `${'a-a_a.'.repeat(160)}/`],
    ['slashes', '/'.repeat(990)],
    ['colons', ':'.repeat(990)],
    ['at signs', '@'.repeat(990)],
    ['brackets', `${'['.repeat(900)}/x`],
    ['digits in a port', `a:${'0'.repeat(980)}/x`],
  ])('is refused at once when it is full of %s', { tags: 'attack-size' }, (_, text) => {
    const startedAtMs = performance.now();
    for (let round = 0; round < 100; round += 1) {
      expect(findReferenceProblem(text)).toBeDefined();
    }
    // A pattern with an exponential or cubic worst case needs minutes for this.
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
  });
});

describe('a reference', () => {
  it('is in the same repository whatever its tag and digest', () => {
    const nginx = parseReference('nginx');
    expect(isSameRepository(nginx, parseReference(`index.docker.io/library/nginx:1@${DIGEST}`))).toBe(true);
    expect(isSameRepository(nginx, parseReference('quay.io/library/nginx'))).toBe(false);
    expect(isSameRepository(nginx, parseReference('docker.io/u/nginx'))).toBe(false);
  });

  it('keeps its tag when it is pinned', () => {
    expect(formatReference(withDigest(parseReference('nginx:1.27'), DIGEST))).toBe(
      `docker.io/library/nginx:1.27@${DIGEST}`,
    );
  });

  it.each([
    [DIGEST, true],
    [`sha384:${'a'.repeat(96)}`, true],
    [`sha512:${'a'.repeat(128)}`, true],
    [`${DIGEST}\n`, false],
    [`${DIGEST}0`, false],
    [DIGEST.toUpperCase(), false],
    [`sha512:${'a'.repeat(64)}`, false],
    ['constructor', false],
    ['', false],
  ])('can be pinned to %j: %s', (text, isValid) => {
    expect(isDigest(text)).toBe(isValid);
  });
});
