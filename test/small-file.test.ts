import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { readSmallFile, readSmallFileSync } from '../src/small-file.ts';

const LIMIT = 1024 * 1024;
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'small-file-'));
  path = join(folder, 'file');
});

afterEach(() => rm(folder, { recursive: true }));

const WAYS: readonly (readonly [name: string, read: (path: string) => Promise<string>])[] = [
  ['in time', readSmallFile],
  ['at once', async (file) => readSmallFileSync(file)],
];

it.each(WAYS)('reads a file to its end, behind a link too, %s', async (_, read) => {
  const text = 'é'.repeat(LIMIT / 2);
  await writeFile(join(folder, 'target'), text);
  await symlink('target', path);
  expect((await read(path)) === text).toBe(true);
  await writeFile(path, '');
  expect(await read(path)).toBe('');
});

it.each(WAYS)('takes nothing that is too large, %s', { tags: 'attack-size' }, async (_, read) => {
  await writeFile(path, 'x'.repeat(LIMIT + 1));
  await expect(read(path)).rejects.toMatchObject({ code: 'more than 1 MiB' });
});

it.each(WAYS)('does not wait for a pipe, nor read a device, %s', { tags: 'attack-size' }, async (_, read) => {
  execFileSync('mkfifo', [path]);
  await expect(read(path)).rejects.toMatchObject({ code: 'no regular file' });
  await expect(read('/dev/zero')).rejects.toMatchObject({ code: 'no regular file' });
});

it.each(WAYS)('says in the words of Node that there is none, %s', async (_, read) => {
  await expect(read(path)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(read(folder)).rejects.toMatchObject({ code: 'EISDIR' });
});
