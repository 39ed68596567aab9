import { expect, it } from 'vitest';

import { POLICIES } from '../../src/reconcile/decide/policy.ts';
import { ANNOTATIONS } from '../../src/workloads/annotations.ts';
import { formatAnnotationsPage } from './annotations-page.ts';

it('tells what users write from what the controller writes', () => {
  const entry = { is: 'annotation', on: ['workload', 'Namespace'], values: 'a word' } as const;
  const page = formatAnnotationsPage({
    mark: { ...entry, writer: 'controller', meaning: 'Kept.' },
    wish: { ...entry, writer: 'user', meaning: 'Asked for.' },
  });
  const [, ofUsers = '', ofController = ''] = page.split(/^## /m);
  expect(ofUsers).toContain(
    '\n| `backup-image-registry/wish` | annotation | workload, Namespace | a word | Asked for. |\n',
  );
  expect(ofController).toContain(
    '\n| `backup-image-registry/mark` | annotation | workload, Namespace | a word | Kept. |\n',
  );
});

it('names every policy', () => {
  const named = [...ANNOTATIONS.policy.values.matchAll(/`(\w+)`/g)].map(([, policy]) => policy);
  expect(named).toEqual(POLICIES);
});
