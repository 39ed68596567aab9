import { defineConfig } from 'vitest/config';

import { ATTACKS, AttackReporter } from './test/support/attacks.ts';

const report = process.env['VITEST_JSON_REPORT'];

export default defineConfig({
  test: {
    reporters: [
      'default',
      new AttackReporter(),
      ...(report ? [['json', { outputFile: report }] satisfies [string, object]] : []),
    ],
    tags: [...ATTACKS],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', 'test/node/**', 'test/tenants/**'],
          // Some start real programs, on a machine that may be busy with others.
          testTimeout: 90_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          // Each worker has a cluster of its own, and spends most of its time waiting for it: three keep two cores half busy.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          // Longer than a wait that comes to nothing, which then says what it waited for.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'node',
          include: ['test/node/**/*.test.ts'],
          globalSetup: ['test/support/node/global-setup.ts'],
          // One node, and one controller at a time.
          fileParallelism: false,
          // A real kubelet waits ten seconds and more before it tries again.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'tenants',
          include: ['test/tenants/**/*.test.ts'],
          // Two minutes, what must be started before, and what may be late after it.
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
