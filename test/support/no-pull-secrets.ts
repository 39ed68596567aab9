import type { LoopsDeps } from '../../src/runtime/loops/loops.ts';

/** As without PULL_SECRET. */
export const NO_PULL_SECRETS: LoopsDeps['pullSecrets'] = {
  secrets: { wanted: undefined, findProblem: () => undefined, prepare: async () => undefined },
  start: () => undefined,
  applySettings: () => undefined,
  observe: () => undefined,
  longestPassMs: () => 0,
  drain: async () => undefined,
  shutDown: () => undefined,
};
