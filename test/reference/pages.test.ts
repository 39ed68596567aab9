import { readdirSync, readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { PAGES } from './pages.ts';

const FOLDER = new URL('../../docs/reference/', import.meta.url);

it.each(Object.entries(PAGES))('has %s as it is generated', async (name, format) => {
  const page = readFileSync(new URL(name, FOLDER), 'utf8');
  expect(page, `docs/reference/${name} is out of date: run npm run reference`).toBe(await format());
});

it('generates every page of the reference', () => {
  expect(readdirSync(FOLDER).toSorted()).toEqual(Object.keys(PAGES).toSorted());
});
