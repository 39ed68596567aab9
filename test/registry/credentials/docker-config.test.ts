import { describe, expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import type { Credential } from '../../../src/registry/credentials/credentials.ts';
import { findCredential, findProblem } from '../../../src/registry/credentials/find-credential.ts';
import { parseDockerConfig } from '../../../src/registry/credentials/docker-config.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const GOOD = { auth: base64('me:pass') };
const ME: Credential = { kind: 'password', username: 'me', password: 'pass' };

function findIn(file: unknown, image: string): Credential | undefined {
  const text = typeof file === 'string' ? file : JSON.stringify(file);
  const place = findCredential(parseDockerConfig(text), parseReference(image));
  return place?.kind === 'here' ? place.credential : undefined;
}

describe('an entry', () => {
  it.each<[object, Credential | undefined]>([
    [{ auth: base64('me:pass:word') }, { kind: 'password', username: 'me', password: 'pass:word' }],
    [{ auth: base64('me:pässwörd\0\0') }, { kind: 'password', username: 'me', password: 'pässwörd' }],
    [
      { username: 'me', password: 'p' },
      { kind: 'password', username: 'me', password: 'p' },
    ],
    [
      { auth: base64('x:y'), username: 'me', password: 'p' },
      { kind: 'password', username: 'x', password: 'y' },
    ],
    [
      { auth: base64('0000:'), identitytoken: 't' },
      { kind: 'identityToken', token: 't' },
    ],
    [{ auth: base64(':t') }, { kind: 'identityToken', token: 't' }],
    [
      { username: '', password: 't' },
      { kind: 'identityToken', token: 't' },
    ],
    [{ auth: '', email: 'me@b.io' }, undefined],
    [{}, undefined],
  ])('%j is read', (entry, credential) => {
    expect(findIn({ auths: { 'b.io': entry } }, 'b.io/x')).toEqual(credential);
  });

  it('that has nothing is no error', () => {
    expect(findIn('{"auths":null}', 'b.io/x')).toBeUndefined();
  });
});

describe('an entry that cannot be used', () => {
  const LOGIN = 'entry 1 of "auths" of config.json';
  it.each([
    ['an empty login', { auth: 'Og==' }, `${LOGIN} has neither a user nor a password`],
    ['null', null, `${LOGIN} is not of the form`],
    ['a text', 's3cret', `${LOGIN} is not of the form`],
    [
      'a text without a colon',
      { auth: base64('s3cret') },
      `${LOGIN} has an "auth" that is not the base64 of`,
    ],
    ['no Base64', { auth: '%%%' }, `${LOGIN} has an "auth" that is not the base64 of`],
    ['a user that is no text', { username: ['s3cret'] }, `${LOGIN} is not of the form`],
    ['a token for a registry', { registrytoken: 's3cret' }, `${LOGIN} has a "registrytoken"`],
  ])('as %s, concerns only its own registry', (_, entry, problem) => {
    const config = parseDockerConfig(JSON.stringify({ auths: { 'a.io': entry, 'b.io': GOOD } }));
    expect(findCredential(config, parseReference('b.io/x'))).toEqual({ kind: 'here', credential: ME });
    expect(findProblem(config, parseReference('b.io/x'))).toBeUndefined();
    expect(findCredential(config, parseReference('a.io/x'))).toBeUndefined();
    expect(findProblem(config, parseReference('a.io/x'))).toContain(problem);
    expect(JSON.stringify(config.unusable)).not.toMatch(/s3cret|czNjcmV0/);
  });

  it.each([null, '', 5, {}])('as a helper that is %j, concerns only its own registry', (helper) => {
    const config = parseDockerConfig(
      JSON.stringify({ auths: { 'b.io': GOOD }, credHelpers: { 'c.io': 'cloud', 'a.io': helper } }),
    );
    expect(findCredential(config, parseReference('c.io/x'))).toMatchObject({ helper: 'cloud' });
    expect(findIn({ auths: { 'b.io': GOOD }, credHelpers: { 'a.io': helper } }, 'b.io/x')).toEqual(ME);
    const problem = 'entry 2 of "credHelpers" of config.json names no program';
    expect(findProblem(config, parseReference('a.io/x'))).toBe(problem);
    expect(findProblem(config, parseReference('c.io/x'))).toBeUndefined();
  });

  it.each([
    [{ auths: ['s3cret'], credHelpers: { 'b.io': 'cloud' } }, '"auths" of config.json is no object'],
    [{ auths: { 'c.io': GOOD }, credHelpers: 's3cret' }, '"credHelpers" of config.json is no object'],
    [{ auths: { 'c.io': GOOD }, credsStore: ['s3cret'] }, '"credsStore" of config.json names no program'],
  ])('as a whole section, could have been about any registry: %j', (file, problem) => {
    const config = parseDockerConfig(JSON.stringify(file));
    expect(findProblem(config, parseReference('a.io/x'))).toBe(problem);
    expect(config.credentials.size + config.helpers.size).toBe(1);
  });

  it('is not in the way of a better one', () => {
    const auths = { 'b.io/team': null, 'b.io': GOOD };
    expect(findIn({ auths }, 'b.io/team/x')).toEqual(ME);
  });
});

describe('a file', () => {
  it('may begin with a byte order mark', () => {
    expect(findIn(`\uFEFF${JSON.stringify({ auths: { 'b.io': GOOD } })}`, 'b.io/x')).toEqual(ME);
  });

  it('may be of the older form, with the registries at the top', () => {
    const old = {
      'https://index.docker.io/v1/': { auth: GOOD.auth, email: 'me@b.io' },
      'a.io': { auth: 'Og==' },
    };
    expect(findIn(old, 'nginx')).toEqual(ME);
    expect(parseDockerConfig(JSON.stringify(old)).unusable).toEqual([
      { key: 'a.io', problem: 'entry 2 of config.json has neither a user nor a password' },
    ]);
  });

  it('may have its names in any case, as programs in Go write and read them', () => {
    expect(findIn({ Auths: { 'b.io': { Auth: GOOD.auth } } }, 'b.io/x')).toEqual(ME);
    expect(findIn({ 'b.io': { Username: 'me', Password: 'pass' } }, 'b.io/x')).toEqual(ME);
  });

  it.each([
    [
      { 'b.io': { auth: 5 } },
      'entry 1 of config.json is not of the form {"auth": "<base64 of user:password>"}',
    ],
    [{ 'b.io': GOOD, credHelpers: {} }, 'config.json has a login beside its sections: move it into "auths"'],
  ])('that looks like one with credentials is never read as one without: %j', (file, problem) => {
    expect(parseDockerConfig(JSON.stringify(file)).unusable).toMatchObject([{ problem }]);
  });

  it('may have nothing about credentials', () => {
    const other = JSON.stringify({
      psFormat: 'table',
      HttpHeaders: { 'X-Of': 'mine' },
      proxies: { default: {} },
    });
    expect(parseDockerConfig(other)).toMatchObject({ unusable: [], store: undefined });
  });

  it.each(['not json s3cret', '["s3cret"]', 'null', '"s3cret"', ''])(
    'that is no JSON object is refused without being quoted: %s',
    (text) => {
      const parse = (): unknown => parseDockerConfig(text);
      expect(parse).toThrow(/JSON|form/);
      expect(parse).not.toThrow(/s3cret/);
    },
  );
});
