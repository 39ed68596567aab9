/** Our grammar against the library that the kubelet and the registries use, on generated texts. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

import { expect, it } from 'vitest';

import { findDisagreements, generateReferenceTexts, type LibraryAnswer } from '../images/differential.ts';
import { findCluster } from '../support/test-cluster.ts';

const COUNT = 20_000;

async function askLibrary(texts: readonly string[]): Promise<readonly LibraryAnswer[]> {
  const library = spawn(findCluster().tools.reference, { stdio: ['pipe', 'pipe', 'inherit'] });
  library.stdin.end(texts.map((reference) => JSON.stringify(reference)).join('\n'));
  const lines = (await text(library.stdout)).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as LibraryAnswer);
}

it(`reads ${COUNT} generated texts as distribution/reference does`, { tags: 'attack-text' }, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const texts = generateReferenceTexts(seed, COUNT);
  expect(findDisagreements(texts, await askLibrary(texts))).toEqual([]);
});
