import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect, it } from 'vitest';

import { findLinks, listAnchors, type Link } from './markdown-links.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT }).toSorted();

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** From the top of the repository. */
function resolve(page: string, { path }: Link): string {
  return path === '' ? page : join(dirname(page), path);
}

function isBroken(page: string, link: Link): boolean {
  const target = resolve(page, link);
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) {
    return true;
  }
  return link.anchor !== '' && !listAnchors(read(target)).has(link.anchor);
}

it.each(PAGES)('%s links to files and headings that are there', (page) => {
  const broken = findLinks(read(page)).filter((link) => isBroken(page, link));
  expect(broken.map(({ path, anchor }) => `${path}#${anchor}`)).toEqual([]);
});

it('has every page of docs in their index', () => {
  const index = 'docs/README.md';
  const linked = new Set(findLinks(read(index)).map((link) => resolve(index, link)));
  const others = PAGES.filter((page) => page.startsWith('docs/') && page !== index);
  expect(others.filter((page) => !linked.has(page))).toEqual([]);
});
