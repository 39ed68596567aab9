import { describe, expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import {
  findCredential,
  parseDockerConfig,
  type Credential,
} from '../../../src/registry/credentials/credentials.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A config in which the user of every key is the key itself. */
function configFor(keys: readonly string[]): string {
  return JSON.stringify({
    auths: Object.fromEntries(keys.map((key) => [key, { username: key, password: 'p' }])),
  });
}

function findUser(keys: readonly string[], image: string): string | undefined {
  const place = findCredential(parseDockerConfig(configFor(keys)), parseReference(image));
  return place?.kind === 'here' && place.credential.kind === 'password'
    ? place.credential.username
    : undefined;
}

describe('a key', () => {
  it.each([
    ['b.io', 'b.io/x/y'],
    ['https://b.io', 'b.io/x/y'],
    ['https://b.io/v2/', 'b.io/x/y'],
    ['http://b.io:5000/', 'b.io:5000/x'],
    ['B.io', 'b.io/x'],
    ['b.io', 'B.io/x'],
    ['b.io/x', 'b.io/x/y'],
    ['b.io/x/', 'b.io/x/y'],
    ['b.io/v1/x', 'b.io/x/y'],
    ['b.io/x/y', 'b.io/x/y:1'],
    ['*.b.io', 'reg.b.io/x'],
    ['*.*.b.io', 'a.reg.b.io/x'],
    ['reg-*.b.io:5000', 'reg-eu.b.io:5000/x'],
    ['*.b.io/team', 'reg.b.io/team/x'],
    ['[::1]:5000', '[::1]:5000/x'],
    ['https://index.docker.io/v1/', 'nginx'],
    ['index.docker.io', 'docker.io/me/x'],
    ['docker.io', 'me/x'],
    ['registry-1.docker.io', 'nginx'],
    ['docker.io/me', 'me/x'],
  ])('%s matches %s', (key, image) => {
    expect(findUser([key], image)).toBe(key);
  });

  it.each([
    ['b.io', 'c.io/x'],
    ['b.io', 'b.io:5000/x'],
    ['b.io:443', 'b.io/x'],
    ['b.io/team', 'b.io/team-evil/x'],
    ['b.io/x/y', 'b.io/x'],
    ['*.b.io', 'b.io/x'],
    ['*.b.io', 'a.reg.b.io/x'],
    ['*.b.io', 'reg.b.io:5000/x'],
    ['*.b.io', 'evilb.io/x'],
    ['*', 'b.io/x'],
    ['(a+)+b', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa.io/x'],
    ['docker.io/me', 'you/x'],
    ['', 'b.io/x'],
  ])('%s does not match %s', { tags: 'attack-secret' }, (key, image) => {
    expect(findUser([key], image)).toBeUndefined();
  });

  it.each([
    [['b.io', 'b.io/x', 'b.io/x/y'], 'b.io/x/y/z', 'b.io/x/y'],
    [['b.io/x/y', 'b.io/x', 'b.io'], 'b.io/x/z', 'b.io/x'],
    [['*.b.io', 'reg.b.io'], 'reg.b.io/x', 'reg.b.io'],
    [['*.b.io/x', 'reg.b.io'], 'reg.b.io/x', 'reg.b.io'],
    [['*.b.io', '*.b.io/x'], 'reg.b.io/x', '*.b.io/x'],
    [['*.io', 'r*.b.io', '*.b.io'], 'reg.b.io/x', 'r*.b.io'],
  ])('of %j the most specific wins for %s', (keys, image, winner) => {
    expect(findUser(keys, image)).toBe(winner);
    expect(findUser(keys.toReversed(), image)).toBe(winner);
  });
});

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
      { kind: 'password', username: 'me', password: 'p' },
    ],
    [
      { auth: base64('0000:'), identitytoken: 't' },
      { kind: 'identityToken', token: 't' },
    ],
    [{ auth: '', email: 'me@b.io' }, undefined],
    [{}, undefined],
  ])('%j is read', (entry, credential) => {
    const config = parseDockerConfig(JSON.stringify({ auths: { 'b.io': entry } }));
    expect(findCredential(config, parseReference('b.io/x'))).toEqual(
      credential && { kind: 'here', credential },
    );
  });

  it.each([
    'not json s3cret',
    '["s3cret"]',
    'null',
    JSON.stringify({ auths: { 'b.io': 's3cret' } }),
    JSON.stringify({ auths: { 'b.io': { auth: base64('s3cret') } } }),
    JSON.stringify({ auths: { 'b.io': { username: ['s3cret'] } } }),
  ])('that is broken is refused without being quoted: %s', (text) => {
    const parse = (): unknown => parseDockerConfig(text);
    expect(parse).toThrow(/JSON|form|base64/);
    expect(parse).not.toThrow(/s3cret|czNjcmV0/);
  });

  it('that has nothing is no error', () => {
    expect(findCredential(parseDockerConfig('{"auths":null}'), parseReference('b.io/x'))).toBeUndefined();
  });
});

describe('a helper', () => {
  const config = parseDockerConfig(
    JSON.stringify({
      auths: { 'b.io': { username: 'me', password: 'p' }, 'c.io': {} },
      credHelpers: { 'ecr.io': 'ecr-login', 'docker.io': 'hub' },
      credsStore: 'store',
    }),
  );

  it.each([
    ['ecr.io/x', { kind: 'helper', helper: 'ecr-login', server: 'ecr.io' }],
    ['nginx', { kind: 'helper', helper: 'hub', server: 'https://index.docker.io/v1/' }],
    ['b.io/x', { kind: 'here', credential: { kind: 'password', username: 'me', password: 'p' } }],
    ['c.io:5000/x', { kind: 'helper', helper: 'store', server: 'c.io:5000' }],
  ])('is named for %s where there is nothing better', (image, place) => {
    expect(findCredential(config, parseReference(image))).toEqual(place);
  });
});
