import { expect, it } from 'vitest';

import { createPlanProgress } from '../../../src/cli/plan/plan-progress.ts';

function watchProgress(workloads: number) {
  const lines: string[] = [];
  let nowMs = 0;
  const tell = createPlanProgress({
    terminal: { show: (line) => lines.push(line) },
    workloads,
    nowMs: () => nowMs,
  });
  return {
    lines,
    tell,
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

it.each([
  [{ workloads: 1_200, images: 0, knownImages: 400 }, 10_000, 'looked at 1,200 of 10,000 workloads'],
  [
    { workloads: 10_000, images: 300, knownImages: 2_000 },
    10_000,
    'looked at 10,000 of 10,000 workloads, 300 of 2,000 images',
  ],
  [{ workloads: 1, images: 1, knownImages: 1 }, 1, 'looked at 1 of 1 workload, 1 of 1 image'],
])('says of %o of %i workloads: %s', (progress, all, line) => {
  const { lines, tell } = watchProgress(all);
  tell(progress);
  expect(lines).toEqual([line]);
});

it('says so ten times a second at most', () => {
  const { lines, tell, pass } = watchProgress(3);
  for (const workloads of [1, 2, 3]) {
    tell({ workloads, images: 0, knownImages: 0 });
    pass(50);
  }
  expect(lines).toEqual(['looked at 1 of 3 workloads', 'looked at 3 of 3 workloads']);
});
