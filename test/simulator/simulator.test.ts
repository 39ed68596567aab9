/**
 * The loops as they are, in a cluster and between registries that are models, with every request answered in an order
 * that chance decides (histories.ts), and here one thing after the other. What the models do not prove (that a real API server, kubelet or registry behaves like that) is
 * proven in test/integration.
 */
import { expect, it } from 'vitest';

import { tell, useModelTime } from './histories.ts';
import { KINDS } from '../../src/workloads/kinds.ts';
import { ATTACKS } from './hostile-model.ts';
import { KIND_MODELS, KIND_NAMES, type KindName } from './kind-models.ts';
import { RUNTIMES } from './node-model.ts';
import { type Conditions, NAMES, POD_PREVIEWS, USUAL, World } from './world.ts';
import { TROUBLES } from './troubles.ts';

useModelTime();

/** Two workloads of the kind, and two Deployments. */
function listKinds(name: KindName): readonly KindName[] {
  return NAMES.map((_, index) => (index < 2 ? name : 'Deployment'));
}

/** So that only what is known of the namespace keeps two workloads from being tried at once. */
const IMPATIENT: Conditions = { ...USUAL, maxRollouts: 3 };

it('knows every kind of workload', () => {
  expect(new Set(Object.values(KIND_MODELS).map(({ kind }) => kind))).toEqual(new Set(Object.keys(KINDS)));
});

it.each(TROUBLES.flatMap((trouble) => KIND_NAMES.map((name) => [name, trouble] as const)))(
  'leaves no %s worse off where %s',
  async (name, trouble) => {
    const world = new World(listKinds(name), IMPATIENT);
    await tell(world, () => world.fail(trouble));
  },
);

/** A CronJob at rest has no pods that would show what they run. */
const SHOWING = KIND_NAMES.filter((name) => name !== 'CronJob');

it.each(
  SHOWING.flatMap((name) => [
    [name, 'backup from an empty mirror', 'SwapDenied', 'seen'] as const,
    [name, 'backup from a pull-through mirror', 'SwapDenied', 'seen'] as const,
    ...POD_PREVIEWS.map((seen) => [name, 'sources from a hardened mirror', 'OtherImageRuns', seen] as const),
  ]),
)(
  'leaves every %s alone under a policy (%s) and says %s (pods: %s)',
  async (name, policy, reason, podPreviews) => {
    const world = new World(listKinds(name), { ...IMPATIENT, podPreviews });
    await tell(world, () => world.refuse(policy, reason));
  },
);

it.each(
  KIND_NAMES.flatMap((name) => [
    ...POD_PREVIEWS.map((seen) => [name, 'no tag beside a digest', seen] as const),
    [name, 'backup from a pull-through mirror', 'not permitted'] as const,
  ]),
)(
  'swaps every %s for good under a policy that changes no image: %s (pods: %s)',
  async (name, policy, podPreviews) => {
    const world = new World(listKinds(name), { ...IMPATIENT, podPreviews });
    await tell(world, () => world.accept(policy));
  },
);

it.each(KIND_NAMES.flatMap((name) => RUNTIMES.map((runtime) => [name, runtime] as const)))(
  'swaps every %s to the whole image where runtimes report %s',
  async (name, runtime) => {
    const world = new World(listKinds(name), { ...IMPATIENT, runtimes: [runtime, runtime] });
    await tell(world, () => world.accept('none'));
  },
);

it.each(
  (['Deployment', 'DaemonSet'] as const).flatMap((name) => ATTACKS.map((attack) => [name, attack] as const)),
)('swaps every %s beside a tenant with %s', { tags: 'attack-annotation' }, async (name, attack) => {
  const world = new World(listKinds(name), IMPATIENT);
  await tell(world, () => world.withstand(attack));
});
