import { expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import type { Credential } from '../../../src/registry/credentials/credentials.ts';
import { createEngineInput } from '../../../src/registry/engine/engine-config.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const ME: Credential = { kind: 'password', username: 'me', password: 's3cret' };
const ROBOT: Credential = { kind: 'identityToken', token: 't0ken' };

function create(
  images: { readonly source?: string; readonly copy?: string },
  credentials: { readonly source?: Credential; readonly copy?: Credential } = {},
  insecureRegistries: readonly string[] = [],
): { readonly hosts: unknown; readonly references: readonly string[] } {
  const { source = `a.io/x:1@${DIGEST}`, copy = 'b.io/backup/x:1--aaaa' } = images;
  const job = { source: parseReference(source), copy: parseReference(copy) };
  const sides = { source: credentials.source, copy: credentials.copy };
  const { config, references } = createEngineInput(job, sides, {
    insecureRegistries,
    refusesHead: (host) => host === 'headless.io',
  });
  expect(JSON.parse(config)).toMatchObject({ version: 1, incDockerCred: false, incDockerCert: false });
  return { hosts: (JSON.parse(config) as { readonly hosts: unknown }).hosts, references };
}

it('names both registries as they are', () => {
  expect(create({}, { source: ME, copy: ROBOT })).toEqual({
    hosts: {
      'a.io': { hostname: 'a.io', tls: 'enabled', user: 'me', pass: 's3cret' },
      'b.io': { hostname: 'b.io', tls: 'enabled', token: 't0ken' },
    },
    references: [`a.io/x:1@${DIGEST}`, 'b.io/backup/x:1--aaaa'],
  });
});

it('names one registry once when both sides show it the same credential, so that layers are mounted', () => {
  expect(create({ source: `b.io/x:1@${DIGEST}` }, { source: ME, copy: { ...ME } })).toEqual({
    hosts: { 'b.io': { hostname: 'b.io', tls: 'enabled', user: 'me', pass: 's3cret' } },
    references: [`b.io/x:1@${DIGEST}`, 'b.io/backup/x:1--aaaa'],
  });
});

it('gives one registry two names when the sides show it different credentials', () => {
  expect(create({ source: `nginx@${DIGEST}`, copy: 'docker.io/me/nginx:1' }, { copy: ME })).toEqual({
    hosts: {
      'source.internal': { hostname: 'registry-1.docker.io', tls: 'enabled' },
      'backup.internal': { hostname: 'registry-1.docker.io', tls: 'enabled', user: 'me', pass: 's3cret' },
    },
    references: [`source.internal/library/nginx@${DIGEST}`, 'backup.internal/me/nginx:1'],
  });
});

it('turns encryption off for listed hosts only', () => {
  expect(create({ copy: 'b.io:5000/x:1' }, {}, ['b.io:5000', 'c.io'])).toMatchObject({
    hosts: { 'a.io': { tls: 'enabled' }, 'b.io:5000': { hostname: 'b.io:5000', tls: 'disabled' } },
  });
});

it('writes a tag and never a digest', () => {
  expect(create({ copy: `b.io/x:1@${DIGEST}` }).references[1]).toBe('b.io/x:1');
});

it('asks no questions that a registry refuses', () => {
  expect(create({ copy: 'headless.io/x:1' })).toMatchObject({
    hosts: { 'headless.io': { apiOpts: { disableHead: 'true' } } },
  });
  expect(create({}).hosts).not.toHaveProperty(['a.io', 'apiOpts']);
});
