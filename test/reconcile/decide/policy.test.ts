import { describe, expect, it } from 'vitest';

import { findPolicy, isIgnored } from '../../../src/reconcile/decide/policy.ts';
import type { Workload } from '../../../src/workloads/workload.ts';
import { aSlot, aWorkload } from '../../support/builders.ts';
import { LINEAR, measureGrowth } from '../../support/growth.ts';

const FLUX = { copyOnly: 'Flux' } as const;
const OWNED = { owner: 'Canary/web' };

function withPolicy(policy: string | undefined, parts: Parameters<typeof aWorkload>[0] = {}): Workload {
  const annotations: Record<string, string> =
    policy === undefined ? {} : { 'backup-image-registry/policy': policy };
  return aWorkload({ ...parts, annotations });
}

it.each([
  ['nobody says anything', undefined, undefined, {}, 'swap', 'default'],
  ['the workload says so', 'copy', undefined, {}, 'copy', 'workload'],
  ['the workload says so, whatever the namespace says', 'swap', 'ignore', {}, 'swap', 'workload'],
  ['the namespace says so', undefined, 'ignore', {}, 'ignore', 'namespace'],
  ['somebody else manages it', undefined, undefined, FLUX, 'copy', 'recognized'],
  ['another controller owns it', undefined, undefined, OWNED, 'copy', 'recognized'],
  ['the user insists on the workload', 'swap', undefined, OWNED, 'swap', 'workload'],
  ['the user insists on the namespace', undefined, 'swap', FLUX, 'swap', 'namespace'],
  ['the namespace says less than what is recognized', undefined, 'ignore', FLUX, 'ignore', 'namespace'],
  ['the annotation is emptied', ' ', undefined, {}, 'swap', 'default'],
  ['there is space around it', ' copy ', undefined, {}, 'copy', 'workload'],
] as const)('when %s', (_, own, namespace, parts, policy, from) => {
  expect(findPolicy(withPolicy(own, parts), namespace)).toMatchObject({ policy, from, problems: [] });
});

describe('a value that is no policy', () => {
  it.each(['igonre', 'Swap', 'swap,copy', 'constructor', '\n'.repeat(5) + 'x'])(
    'counts as ignore: %j',
    (policy) => {
      expect(findPolicy(withPolicy(policy), undefined)).toMatchObject({ policy: 'ignore', from: 'workload' });
    },
  );

  it('is told with what is allowed, in text that harms nobody', { tags: 'attack-text' }, () => {
    const { problems } = findPolicy(withPolicy('x\u001b[31m'.repeat(1000)), undefined);
    expect(problems).toEqual([expect.stringMatching(/must be swap, copy or ignore, and is "x\?\[31m/)]);
    expect(problems.join()).toMatch(/^[ -~]{1,400}$/);
  });

  it('is told on the workloads of a namespace, too', () => {
    const { policy, problems } = findPolicy(withPolicy(undefined), 'never');
    expect(policy).toBe('ignore');
    expect(problems.join()).toMatch(/policy of the namespace shop must be swap, copy or ignore/);
  });

  it('does not matter on a namespace where the workload has its own', () => {
    expect(findPolicy(withPolicy('copy'), 'never').problems).toEqual([]);
  });
});

describe('ignore-containers', () => {
  const slots = [
    aSlot('nginx'),
    aSlot('envoy', { place: 'initContainers', name: 'sidecar' }),
    aSlot('models:3', { place: 'volumes', name: 'models' }),
  ];

  function ignoreIn(names: string) {
    const annotations = { 'backup-image-registry/ignore-containers': names };
    const policy = findPolicy(aWorkload({ slots, annotations }), undefined);
    return { ...policy, ignored: slots.filter((slot) => isIgnored(slot, policy)).map(({ name }) => name) };
  }

  it.each([
    ['app', ['app']],
    ['sidecar, models', ['sidecar', 'models']],
    ['volume:models', ['models']],
    ['', []],
    [' , ', []],
  ])('names the slots that are left alone: %j', (names, ignored) => {
    expect(ignoreIn(names)).toMatchObject({ ignored, problems: [], policy: 'swap' });
  });

  it('says which name is none, and heeds the others', () => {
    const { ignored, problems } = ignoreIn('app, sidcar');
    expect(ignored).toEqual(['app']);
    expect(problems).toEqual([expect.stringMatching(/\(app, sidecar, models\); "sidcar" is none\./)]);
  });
});

describe('names of slots to be ignored', () => {
  function ignoring(names: string): Workload {
    return aWorkload({
      slots: [aSlot('nginx:1'), aSlot('envoy:1', { name: 'proxy' })],
      annotations: { 'backup-image-registry/ignore-containers': names },
    });
  }

  it('count once, however often they are written', { tags: 'attack-annotation' }, () => {
    const { ignoredNames, problems } = findPolicy(ignoring('x,proxy,'.repeat(1_000)), undefined);
    expect([...ignoredNames]).toEqual(['x', 'proxy']);
    expect(problems).toEqual([expect.stringContaining('"x" is none')]);
  });

  it('leave everything alone when there are more than are read', { tags: 'attack-annotation' }, () => {
    const workload = ignoring(`${'x,'.repeat(10_000)}proxy`);
    const policy = findPolicy(workload, 'swap');
    expect(policy).toMatchObject({ policy: 'ignore', from: 'workload' });
    expect(policy.problems).toEqual([expect.stringContaining('more than 16384 characters')]);
    expect(workload.slots.every((slot) => isIgnored(slot, policy))).toBe(true);
  });

  it(
    'take time that grows with their number, not with names and slots',
    { tags: 'attack-annotation' },
    () => {
      const prepare = (size: number) =>
        aWorkload({
          slots: Array.from({ length: size }, (_, n) => aSlot('nginx:1', { name: `app-${n}` })),
          annotations: {
            'backup-image-registry/ignore-containers': Array.from(
              { length: size },
              (_, n) => `no-${n}`,
            ).join(),
          },
        });
      const growth = measureGrowth({
        prepare,
        work: (workload) => findPolicy(workload, undefined),
        size: 400,
      });
      expect(growth).toBeLessThan(LINEAR);
    },
  );
});
