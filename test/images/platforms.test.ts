import { describe, expect, it } from 'vitest';

import { isWantedPlatform, listUncoveredPlatforms, parsePlatforms } from '../../src/images/platforms.ts';

describe('PLATFORMS', () => {
  it.each([
    ['all', 'all'],
    ['linux/amd64', ['linux/amd64']],
    ['linux/arm64/v8, linux/amd64,linux/arm64', ['linux/amd64', 'linux/arm64']],
    ['linux/arm', ['linux/arm/v7']],
  ])('may be %s', (text, expected) => {
    expect(parsePlatforms(text)).toEqual(expected);
  });

  it.each([
    'amd64',
    'linux',
    'linux/amd46',
    'linux/amd64/v8',
    'windows/amd64',
    'all,linux/amd64',
    ',',
    '--x',
  ])('must not be %s', (text) => {
    expect(parsePlatforms(text)).toBeUndefined();
  });
});

describe('the image of an index', () => {
  it.each([
    [{ os: 'linux', architecture: 'amd64' }, true],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, true],
    [{ os: 'linux', architecture: 'arm' }, true],
    [{ os: 'linux', architecture: 'arm', variant: 'v6' }, false],
    [{ os: 'linux', architecture: 'arm64', variant: 'v8' }, false],
    [{ os: 'unknown', architecture: 'unknown' }, false],
    [undefined, true],
    [{}, true],
  ])('for %j is wanted: %s', (platform, expected) => {
    expect(isWantedPlatform(platform, ['linux/amd64', 'linux/arm/v7'])).toBe(expected);
    expect(isWantedPlatform(platform, 'all')).toBe(true);
  });
});

it('knows the nodes for which nothing is copied', () => {
  const nodes = ['windows/amd64', 'linux/arm64', 'linux/amd64', 'linux/arm', 'linux/arm64'];
  expect(listUncoveredPlatforms(nodes, ['linux/amd64', 'linux/arm/v7'])).toEqual([
    'linux/arm64',
    'windows/amd64',
  ]);
  expect(listUncoveredPlatforms(nodes, 'all')).toEqual([]);
});
