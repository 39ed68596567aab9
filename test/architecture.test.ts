import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';

import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../src');

/**
 * What each room may import, besides itself. A room or a file at the top that is not listed fails: think about its
 * place first. `ports` stands for src/reconcile/ports.ts alone, types only.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'clock.ts': [],
  'event-loop.ts': ['clock.ts'],
  'counts.ts': [],
  'keep-newest.ts': [],
  'plain-text.ts': ['spellings.ts'],
  'spellings.ts': [],
  'small-file.ts': [],
  network: ['errors.ts', 'small-file.ts'],
  images: ['errors.ts'],
  workloads: [],
  settings: ['errors.ts', 'images', 'workloads'],
  queue: ['errors.ts', 'clock.ts', 'event-loop.ts', 'counts.ts', 'keep-newest.ts'],
  reconcile: ['errors.ts', 'counts.ts', 'keep-newest.ts', 'images', 'workloads', 'settings'],
  registry: [
    'errors.ts',
    'clock.ts',
    'counts.ts',
    'keep-newest.ts',
    'plain-text.ts',
    'small-file.ts',
    'network',
    'images',
    'ports',
  ],
  kubernetes: [
    'errors.ts',
    'clock.ts',
    'event-loop.ts',
    'keep-newest.ts',
    'small-file.ts',
    'network',
    'workloads',
    'ports',
  ],
  telemetry: ['errors.ts', 'queue', 'workloads'],
  runtime: [
    'errors.ts',
    'clock.ts',
    'images',
    'workloads',
    'settings',
    'queue',
    'reconcile',
    'registry',
    'kubernetes',
    'telemetry',
  ],
  cli: [
    'errors.ts',
    'clock.ts',
    'plain-text.ts',
    'images',
    'workloads',
    'settings',
    'reconcile',
    'registry',
    'kubernetes',
    'telemetry',
    'runtime',
  ],
  'main.ts': ['errors.ts', 'cli'],
};

/** Pure rooms know no machine: of Node they may use what computes and nothing that waits, reads or asks. */
const PURE_MODULES: Readonly<Record<string, readonly string[]>> = {
  images: ['node:crypto'],
  workloads: ['node:path'],
};

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

function roomOf(file: string): string {
  return relative(SRC, file).split('/')[0] ?? '';
}

function findImports(file: string): readonly Import[] {
  const text = readFileSync(file, 'utf8');
  const matches = text.matchAll(/^(import|export)( type)?\b[^;]*?from '([^']+)'|\bimport\('([^']+)'\)/gms);
  return [...matches].map(([, , type, from, dynamic]) => ({
    file,
    specifier: from ?? dynamic ?? '',
    isTypeOnly: type !== undefined,
  }));
}

const imports = globSync('**/*.ts', { cwd: SRC }).flatMap((file) => findImports(join(SRC, file)));

function isAllowed({ file, specifier, isTypeOnly }: Import): boolean {
  const room = roomOf(file);
  const target = join(dirname(file), specifier);
  if (roomOf(target) === room || target === join(SRC, '../package.json')) {
    return true;
  }
  const mayUsePorts = ALLOWED[room]?.includes('ports') && isTypeOnly;
  if (mayUsePorts && target === join(SRC, 'reconcile/ports.ts')) {
    return true;
  }
  return ALLOWED[room]?.includes(roomOf(target)) ?? false;
}

it('finds the imports it is about', () => {
  expect(imports.length).toBeGreaterThan(100);
});

it('has a place for every room', () => {
  const rooms = new Set(globSync('*', { cwd: SRC }));
  expect([...rooms].filter((room) => !Object.hasOwn(ALLOWED, room))).toEqual([]);
});

it('lets imports go downwards only', () => {
  const wrong = imports
    .filter(({ specifier }) => specifier.startsWith('.'))
    .filter((entry) => !isAllowed(entry));
  expect(wrong.map(({ file, specifier }) => `${relative(SRC, file)} imports ${specifier}`)).toEqual([]);
});

/** The rooms of reconcile, from the top down: each may import those below it. */
const RECONCILE_ROOMS = [
  ['preview'],
  ['workload'],
  ['apply'],
  ['rollouts'],
  ['decide'],
  ['copies', 'pull-secrets', 'memory'],
  ['ports.ts'],
  ['events'],
];

it('lets the rooms of reconcile import downwards only', () => {
  const inside = join(SRC, 'reconcile');
  const floorOf = (file: string): number => {
    const [room = ''] = relative(inside, file).split('/');
    return RECONCILE_ROOMS.findIndex((rooms) => rooms.includes(room));
  };
  const wrong = imports.filter(({ file, specifier }) => {
    const target = join(dirname(file), specifier);
    const isInside = [file, target].every((one) => one.startsWith(`${inside}/`)) && specifier.startsWith('.');
    const isSameRoom = relative(inside, file).split('/')[0] === relative(inside, target).split('/')[0];
    return isInside && !isSameRoom && !(floorOf(target) > floorOf(file));
  });
  expect(new Set(globSync('*', { cwd: inside }))).toEqual(new Set(RECONCILE_ROOMS.flat()));
  expect(wrong.map(({ file, specifier }) => `${relative(SRC, file)} imports ${specifier}`)).toEqual([]);
});

it('keeps the pure rooms free of machines', () => {
  const wrong = imports.filter(({ file, specifier }) => {
    const allowed = PURE_MODULES[roomOf(file)];
    return allowed && !specifier.startsWith('.') && !allowed.includes(specifier);
  });
  expect(wrong.map(({ file, specifier }) => `${relative(SRC, file)} imports ${specifier}`)).toEqual([]);
});

/** Besides each other: the pure rooms, and the pure files of their neighbours. */
const KNOWN_TO_DECISIONS =
  /^(?:reconcile\/(?:decide\/|ports\.ts$|copies\/copy-state\.ts$|pull-secrets\/pull-secret-entry\.ts$|events\/)|images\/|workloads\/|settings\/settings\.ts$|errors\.ts$)/;

it('decides without clock, network or cluster', () => {
  const decisions = imports.filter(({ file }) => file.startsWith(join(SRC, 'reconcile/decide/')));
  expect(decisions.length).toBeGreaterThan(50);
  const wrong = decisions.filter(
    ({ file, specifier }) =>
      specifier !== 'node:path' && !KNOWN_TO_DECISIONS.test(relative(SRC, join(dirname(file), specifier))),
  );
  expect(wrong.map(({ file, specifier }) => `${relative(SRC, file)} imports ${specifier}`)).toEqual([]);
});

it('names Node modules as such', () => {
  expect(imports.filter(({ specifier }) => builtinModules.includes(specifier))).toEqual([]);
});

describe('the page on the architecture', () => {
  const page = readFileSync(join(SRC, '../docs/architecture.md'), 'utf8');

  it('names every room', () => {
    const rooms = [...Object.keys(ALLOWED), ...RECONCILE_ROOMS.flat()];
    expect(rooms.filter((room) => !page.includes(room))).toEqual([]);
  });

  it('names no file that is not there', () => {
    const files = [...globSync('{src,test}/**/*.ts', { cwd: join(SRC, '..') })].map((file) => `/${file}`);
    const named = [...page.matchAll(/`([\w./-]+\.ts)`/g)].map(([, name]) => name ?? '');
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter((name) => !files.some((file) => file.endsWith(`/${name}`)))).toEqual([]);
  });
});
