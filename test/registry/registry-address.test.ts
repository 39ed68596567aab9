import { expect, it } from 'vitest';

import { InvalidImageError } from '../../src/errors.ts';
import { toApiOrigin } from '../../src/registry/registry-address.ts';

it.each([
  ['docker.io', [], 'https://registry-1.docker.io'],
  ['b.io:443', [], 'https://b.io'],
  ['b.io:5000', ['b.io'], 'https://b.io:5000'],
  ['B.io:5000', ['b.io:5000'], 'http://b.io:5000'],
  ['[::1]:5000', ['[::1]:5000'], 'http://[::1]:5000'],
])('finds %s, with %j listed as insecure, at %s', (host, insecureRegistries, origin) => {
  expect(toApiOrigin(host, insecureRegistries).origin).toBe(origin);
});

it.each(['1.2.3.4.5', '1.2.3.999'])('finds no place for %s', (host) => {
  expect(() => toApiOrigin(host, [])).toThrow(InvalidImageError);
});
