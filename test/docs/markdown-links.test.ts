import { expect, it } from 'vitest';

import { findLinks, listAnchors } from './markdown-links.ts';

it('finds links, and none in code or to other sites', () => {
  const text = [
    'See [below](#how-it-works), [Events](reference/events.md) and [`map`](commands.md#map).',
    'Not `[this](code.md)`, nor [that](https://kubernetes.io/docs).',
    '```md',
    '[inside](fence.md)',
    '```',
  ].join('\n');
  expect(findLinks(text)).toEqual([
    { path: '', anchor: 'how-it-works' },
    { path: 'reference/events.md', anchor: '' },
    { path: 'commands.md', anchor: 'map' },
  ]);
});

it('makes anchors of headings as GitHub does', () => {
  const text = [
    '# k8s: `plan`, or not?',
    '```sh',
    '# no heading',
    '```',
    '## COPY_TIMEOUT',
    '## [Linked](x.md) text',
    '## Twice',
    '## Twice',
  ].join('\n');
  expect([...listAnchors(text)]).toEqual([
    'k8s-plan-or-not',
    'copy_timeout',
    'linked-text',
    'twice',
    'twice-1',
  ]);
});
