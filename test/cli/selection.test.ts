import { expect, it } from 'vitest';

import { parseSelection, selectWorkloads } from '../../src/cli/selection.ts';
import { UsageError } from '../../src/errors.ts';
import { aWorkload } from '../support/builders.ts';

it.each([
  'deployment/web',
  'Deployment/web',
  'deployments/web',
  'deploy/web',
  'deployment.apps/web',
  'deployments.apps/web',
])('understands %s as kubectl does', (workload) => {
  expect(parseSelection({ namespace: 'shop', workload })).toEqual({
    namespace: 'shop',
    workload: { kind: 'Deployment', name: 'web' },
  });
});

it('understands the short name of another kind', () => {
  expect(parseSelection({ namespace: 'shop', workload: 'ds/agent' }).workload?.kind).toBe('DaemonSet');
});

it('takes everything when nothing is named', () => {
  expect(parseSelection({})).toEqual({});
});

it.each([
  ['a kind without a name', { namespace: 'shop', workload: 'deployment' }, /kind and name/],
  ['a kind that is none', { namespace: 'shop', workload: 'pod/web' }, /Kinds: deployment, /],
  ['a name that no object has', { namespace: 'shop', workload: 'deploy/We b' }, /names no workload/],
  ['more than kind and name', { namespace: 'shop', workload: 'deploy/shop/web' }, /names no workload/],
  ['a workload without its namespace', { workload: 'deploy/web' }, /say which one with --namespace/],
  ['a namespace with a path in it', { namespace: '../kube-system' }, /not the name of a namespace/],
])('refuses %s', (_, options, message) => {
  expect(() => parseSelection(options)).toThrow(UsageError);
  expect(() => parseSelection(options)).toThrow(message);
});

it('selects by namespace, kind and name', () => {
  const web = aWorkload();
  const agent = aWorkload({ kind: 'DaemonSet' });
  const other = aWorkload({ namespace: 'other' });
  const all = [web, agent, other];
  expect(selectWorkloads(all, {})).toEqual(all);
  expect(selectWorkloads(all, { namespace: 'shop' })).toEqual([web, agent]);
  const one = parseSelection({ namespace: 'shop', workload: 'ds/web' });
  expect(selectWorkloads(all, one)).toEqual([agent]);
});

it('says so when the workload that was named is not there', () => {
  const selection = parseSelection({ namespace: 'shop', workload: 'deploy/gone' });
  expect(() => selectWorkloads([aWorkload()], selection)).toThrow(
    'there is no deployment/gone in the namespace shop',
  );
});
