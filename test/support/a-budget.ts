import { isImageCopy } from '../../src/images/copy-name.ts';
import { RolloutBudget, type RolloutBudgetOptions } from '../../src/reconcile/rollouts/rollout-budget.ts';
import { NO_MEMO } from '../../src/reconcile/rollouts/swap-stops.ts';
import type { Settings } from '../../src/settings/settings.ts';

/** As the loops have it, for a process that tells nobody of a stop. */
export function aBudget(
  settings: () => Settings,
  parts: Pick<RolloutBudgetOptions, 'nowMs' | 'onFree'>,
): RolloutBudget {
  return new RolloutBudget({
    ...parts,
    limits: () => ({ maxRollouts: settings().MAX_CONCURRENT_ROLLOUTS, timeoutMs: 600_000 }),
    isCopy: (image) => isImageCopy(image, settings().REGISTRY_PREFIX),
    onStopped: () => undefined,
    memo: NO_MEMO,
  });
}
