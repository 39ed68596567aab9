import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  copyRepositoryOf,
  isCopy,
  isCopyOf,
  parsePrefix,
  planCopyNames,
  type Naming,
} from '../../src/images/copy-name.ts';
import {
  findReferenceProblem,
  formatReference,
  isSameRepository,
  parseReference,
} from '../../src/images/reference.ts';
import { vectors } from './vectors.ts';

const DIGEST = `sha256:${'d'.repeat(64)}`;
const OTHER_DIGEST = `sha256:${'e'.repeat(64)}`;
const NAMINGS: readonly Naming[] = ['auto', 'nested', 'flat'];
const PREFIXES = [
  'b.example/p',
  'b.example',
  'localhost:5000',
  'docker.io/u',
  'registry.gitlab.com/g/p',
  `b.example/${'p/'.repeat(58)}p`,
];

/** Hosts and repositories that differ in as little as possible: separators, case, levels, ports. */
const HOSTS = [
  'docker.io docker-io.library localhost localhost:1 xn--a.b x-n--a.b A [a::b] [A::b] [a::b]:1'.split(' '),
  'a.b a-b.c A.b a.B a.b:1 a.b-1 a.b.1 a:1'.split(' '),
].flat();
const SEPARATORS = ['/', '.', '_', '__', '-', '--', '---'];
const REPOSITORIES = [
  ...SEPARATORS.flatMap((x) =>
    SEPARATORS.flatMap((y) => [`a${x}b${y}c`, `library${x}a${y}b`, `a${x}1${y}localhost`, `a${x}b`]),
  ),
  ...['a/b-c.d_', 'ab', 'a-', '-a'].flatMap((part) => [`a${part.repeat(30)}x`, `a${part.repeat(30)}y`]),
  ...['a-', '-a', 'aa'].map((part) => `a${part.repeat(120)}z`),
];

/** ECR, and GitLab but for its limit of levels. */
const STRICT_REPOSITORY = /^[a-z0-9]+(?:[._-][a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$/;

const sources = [
  ...HOSTS.flatMap((host) => REPOSITORIES.map((repository) => `${host}/${repository}`)),
  ...vectors.valid.map(({ input }) => input),
]
  .filter((text) => findReferenceProblem(text) === undefined)
  .map((text) => parseReference(text));

const anyWord = fc.stringMatching(/^[a-z0-9]{1,3}$/);
const anyRepository = fc
  .tuple(anyWord, fc.array(fc.tuple(fc.constantFrom(...SEPARATORS), anyWord), { maxLength: 60 }))
  .map(([first, rest]) => [first, ...rest.flat()].join(''));
const anySource = fc
  .tuple(
    fc.constantFrom(...HOSTS, 'b.example', 'b.example/p-'),
    anyRepository,
    fc.constantFrom('', ':1', ':1--0123456789ab', `:${'t'.repeat(128)}`, `@${DIGEST}`, `:1@${DIGEST}`),
  )
  .map(([host, repository, suffix]) => `${host}/${repository}${suffix}`)
  .filter((text) => findReferenceProblem(text) === undefined)
  .map((text) => parseReference(text));
const anyRequest = fc
  .record({
    source: anySource,
    digest: fc.constantFrom(DIGEST, `sha512:${'d'.repeat(128)}`),
    prefix: fc.constantFrom(...PREFIXES).map((text) => parsePrefix(text)),
    naming: fc.constantFrom(...NAMINGS),
  })
  .filter(({ source, prefix }) => !isCopy(source, prefix));

describe('whatever the source', () => {
  it.each(PREFIXES.flatMap((prefix) => NAMINGS.map((naming) => [prefix, naming] as const)))(
    'no two repositories share a copy, and all have names that registries take, below %s with NAMING=%s',
    (prefix, naming) => {
      const destination = { prefix: parsePrefix(prefix), naming };
      const copies = sources.map((source) => copyRepositoryOf(source, destination).repository);
      const repositories = sources.map(({ host, repository }) => `${host}/${repository}`);
      const pairs = copies.map((copy, index) => `${copy} ${repositories[index]}`);
      const room = 255 - `${destination.prefix.host}/`.length;
      expect(copies.filter((copy) => copy.length > room || !STRICT_REPOSITORY.test(copy))).toEqual([]);
      expect(new Set(copies).size).toBeGreaterThan(1_000);
      expect(new Set(copies).size).toBe(new Set(pairs).size);
      expect(new Set(repositories).size).toBe(new Set(pairs).size);
    },
  );

  it('two different ones never share a copy', { tags: 'attack-text' }, () => {
    fc.assert(
      fc.property(anyRequest, anySource, (request, other) => {
        const [a, b] = [copyRepositoryOf(request.source, request), copyRepositoryOf(other, request)];
        expect(isSameRepository(a, b)).toBe(isSameRepository(request.source, other));
      }),
    );
  });

  it('two digests of one tag never share an immutable name', { tags: 'attack-text' }, () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const other = { ...request, digest: OTHER_DIGEST };
        expect(planCopyNames(request).immutable).not.toEqual(planCopyNames(other).immutable);
      }),
    );
  });

  it('a copy is known for a copy of its source, and never copied again', () => {
    fc.assert(
      fc.property(anyRequest, fc.constantFrom(...NAMINGS), (request, naming) => {
        const digest = request.source.digest ?? request.digest;
        const { immutable, moving, image } = planCopyNames({ ...request, naming, digest });
        for (const copy of [immutable, moving ?? immutable, parseReference(image)]) {
          expect(isCopy(copy, request.prefix)).toBe(true);
          expect(isCopyOf(copy, request.source, request.prefix)).toBe(true);
          expect(() => planCopyNames({ ...request, source: copy })).toThrow('no copy can be named');
        }
      }),
    );
  });

  it('every name is one that clients and registries take', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const { immutable, moving, image } = planCopyNames(request);
        for (const copy of [immutable, moving ?? immutable, parseReference(image)]) {
          const text = formatReference(copy);
          expect(formatReference(parseReference(text))).toBe(text);
          expect(`${copy.host}/${copy.repository}`.length).toBeLessThanOrEqual(255);
          // ECR, and GitLab without its limit of levels.
          expect(copy.repository).toMatch(
            /^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$/,
          );
          expect(copy.tag ?? 'none').toMatch(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
          expect(copy.tag ?? 'none').not.toMatch(/^sha256-/);
        }
      }),
    );
  });

  it.each([
    ['Docker Hub has exactly a namespace and a name', 'docker.io/u', /^u\/[a-z0-9._-]{2,255}$/],
    [
      'GitLab has one level below the project',
      'registry.gitlab.com/g/p',
      /^g\/p\/[a-z0-9]+(?:[._-][a-z0-9]+)*$/,
    ],
  ])('%s', (_, prefix, pattern) => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const destination = { prefix: parsePrefix(prefix), naming: 'auto' } as const;
        expect(copyRepositoryOf(request.source, destination).repository).toMatch(pattern);
      }),
    );
  });
});
