import { parse } from 'smol-toml';
import { expect, it } from 'vitest';

import { mapImages } from '../../../src/cli/map/image-map.ts';
import {
  findMirrors,
  formatHostsToml,
  formatRegistriesConf,
  hostsTomlPath,
  type Mirrors,
} from '../../../src/cli/map/mirrors.ts';
import { aSlot, aWorkload, someSettings } from '../../support/builders.ts';

function mirrorsOf(images: readonly string[], data: Record<string, string> = {}): Mirrors {
  const settings = someSettings(data);
  const slots = images.map((image, index) => aSlot(image, { name: `c${index}` }));
  const facts = {
    prefix: settings.REGISTRY_PREFIX,
    naming: settings.NAMING,
    sourceHosts: ['*'],
    policies: new Map(),
  };
  return findMirrors(mapImages([aWorkload({ slots })], facts), settings.INSECURE_REGISTRIES);
}

it('leads containerd to the backup for every repository of a host', () => {
  const { mirrors } = mirrorsOf(['nginx', 'user/app', 'ghcr.io/acme/api:2']);
  expect(mirrors.map(hostsTomlPath)).toEqual(['docker.io/hosts.toml', 'ghcr.io/hosts.toml']);
  expect(mirrors.map((mirror) => parse(formatHostsToml(mirror)))).toEqual([
    {
      server: 'https://registry-1.docker.io',
      host: {
        'https://backup.example/v2/p/docker.io': {
          capabilities: ['pull', 'resolve'],
          override_path: true,
          dial_timeout: '5s',
        },
      },
    },
    {
      server: 'https://ghcr.io',
      host: {
        'https://backup.example/v2/p/ghcr.io': {
          capabilities: ['pull', 'resolve'],
          override_path: true,
          dial_timeout: '5s',
        },
      },
    },
  ]);
});

it('leads CRI-O to the backup for every repository of a host', () => {
  const { mirrors } = mirrorsOf(['nginx', 'ghcr.io/acme/api:2']);
  expect(parse(formatRegistriesConf(mirrors))).toEqual({
    registry: [
      { prefix: 'docker.io', location: 'docker.io', mirror: [{ location: 'backup.example/p/docker.io' }] },
      { prefix: 'ghcr.io', location: 'ghcr.io', mirror: [{ location: 'backup.example/p/ghcr.io' }] },
    ],
  });
});

it('speaks plain HTTP where the settings say so, and knows a port', () => {
  const { mirrors } = mirrorsOf(['localhost:5000/tool:2'], {
    REGISTRY_PREFIX: 'backup.example:5001',
    INSECURE_REGISTRIES: 'backup.example:5001,localhost:5000',
  });
  const [mirror] = mirrors;
  expect(mirror && hostsTomlPath(mirror)).toBe('localhost:5000/hosts.toml');
  expect(mirror && parse(formatHostsToml(mirror))).toMatchObject({
    server: 'http://localhost:5000',
    host: { 'http://backup.example:5001/v2/localhost_5000': { override_path: true, dial_timeout: '5s' } },
  });
  expect(parse(formatRegistriesConf(mirrors))).toEqual({
    registry: [
      {
        prefix: 'localhost:5000',
        location: 'localhost:5000',
        insecure: true,
        mirror: [{ location: 'backup.example:5001/localhost_5000', insecure: true }],
      },
    ],
  });
});

it('leads nowhere when the copies have flat names, and says which', () => {
  expect(mirrorsOf(['nginx', 'ghcr.io/acme/api:2'], { REGISTRY_PREFIX: 'docker.io/user' })).toEqual({
    mirrors: [],
    flat: ['docker.io/library/nginx:latest', 'ghcr.io/acme/api:2'],
  });
});

it('leaves out the one source that no nested name can spell', () => {
  const { mirrors, flat } = mirrorsOf(['nginx', 'ghcr.io/acme/a__b:1']);
  expect(mirrors.map(({ host }) => host)).toEqual(['docker.io']);
  expect(flat).toEqual(['ghcr.io/acme/a__b:1']);
});
