import { describe, expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import { findCredential } from '../../../src/registry/credentials/find-credential.ts';
import { parseDockerConfig } from '../../../src/registry/credentials/docker-config.ts';

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
