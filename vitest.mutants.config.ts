import { defineConfig } from 'vitest/config';

import { ATTACKS } from './test/support/attacks.ts';

/** The tests that say what the rules are. The simulator would find most mutants as well, and take hours. */
export default defineConfig({
  test: {
    tags: [...ATTACKS],
    include: ['test/reconcile/**/*.test.ts', 'test/workloads/**/*.test.ts'],
    exclude: ['test/reconcile/rollouts/rollout-budget.test.ts'],
  },
});
