import { expect, it } from 'vitest';

import { parseChallenge } from '../../../src/registry/manifests/challenge.ts';

const BEARER = {
  scheme: 'bearer',
  realm: 'https://a.io/token',
  service: 'a.io',
  scope: 'repository:x/y:pull,push',
};

it.each([
  ['Bearer realm="https://a.io/token",service="a.io",scope="repository:x/y:pull,push"', BEARER],
  ['bearer  realm="https://a.io/token" , service=a.io , scope="repository:x/y:pull,push"', BEARER],
  [
    'Basic realm="x, y", Bearer realm="https://a.io/token",service="a.io",scope="repository:x/y:pull,push"',
    BEARER,
  ],
  ['Bearer realm="https://a.io/token"', { ...BEARER, service: undefined, scope: undefined }],
  ['Basic realm="Registry \\"one\\""', { scheme: 'basic' }],
  ['Negotiate, Basic realm="x"', { scheme: 'basic' }],
  ['basic', { scheme: 'basic' }],
  ['Bearer service="no realm"', undefined],
  ['Negotiate', undefined],
  ['= "," ;;', undefined],
  ['', undefined],
  [undefined, undefined],
])('reads %s', (header, challenge) => {
  expect(parseChallenge(header)).toEqual(challenge);
});

it('takes no time over a long header', { tags: 'attack-size' }, () => {
  const startedAtMs = performance.now();
  parseChallenge('a'.repeat(1_000_000));
  parseChallenge(', '.repeat(500_000));
  parseChallenge('Bearer a="\\'.repeat(100_000));
  expect(performance.now() - startedAtMs).toBeLessThan(500);
});
