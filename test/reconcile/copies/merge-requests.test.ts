import { describe, expect, it } from 'vitest';

import { parseReference, withDigest } from '../../../src/images/reference.ts';
import type { CopyRequest, FormerCopy } from '../../../src/reconcile/copies/copy-state.ts';
import { mergeRequests } from '../../../src/reconcile/copies/merge-requests.ts';
import { DIGEST } from '../../support/builders.ts';

const NGINX: CopyRequest = { source: parseReference('nginx:1.27'), digest: DIGEST, isProven: false };

function at(host: string, isShown = false): FormerCopy {
  return { image: withDigest(parseReference(`${host}/nginx:1.27`), DIGEST), isShown };
}

function placesOf({ formers = [] }: CopyRequest): readonly string[] {
  return formers.map(({ image, isShown }) => `${image.host}${isShown ? ' shown' : ''}`);
}

describe('the former places of a copy', () => {
  const known = { ...NGINX, formers: [at('a.io'), at('b.io')] };

  it('are all that workloads name, each once, those that pods show first', () => {
    const merged = mergeRequests(known, { ...NGINX, formers: [at('b.io', true), at('c.io')] });
    expect(placesOf(merged)).toEqual(['b.io shown', 'a.io', 'c.io']);
  });

  it.each([
    ['none', NGINX],
    ['the same', { ...NGINX, formers: [at('b.io')] }],
  ])('make no other request of it when a workload names %s: that would be looked up again', (_, other) => {
    expect(mergeRequests(known, other)).toBe(known);
    const shown = mergeRequests(known, { ...NGINX, formers: [at('a.io', true)] });
    expect(mergeRequests(shown, { ...NGINX, formers: [at('a.io', true)] })).toBe(shown);
  });

  it('are no more than a few', { tags: 'attack-share' }, () => {
    const formers = Array.from({ length: 100 }, (_, index) => at(`h${index}.io`));
    const merged = mergeRequests(known, { ...NGINX, formers: [...formers, at('z.io', true)] });
    expect(placesOf(merged)).toHaveLength(8);
    expect(placesOf(merged)[0]).toBe('z.io shown');
  });
});
