import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';

import { waitFor } from '../../support/wait-for.ts';
import { type Block, watchBlocks } from './loop-probe.ts';

it('tells how long the event loop was blocked, in CPU time of its thread', async () => {
  const blocks: Block[] = [];
  const timer = watchBlocks((block) => blocks.push(block));
  try {
    const bytes = Buffer.alloc(1024 * 1024);
    const startedAtMs = process.threadCpuUsage().user;
    // In microseconds: more than a block that is told.
    while (process.threadCpuUsage().user - startedAtMs < 300_000) {
      createHash('sha256').update(bytes).digest();
    }
    const told = await waitFor(() => blocks.find(({ cpuMs }) => cpuMs >= 300), { what: 'a block' });
    expect(told.wallMs).toBeGreaterThanOrEqual(told.cpuMs - 10);
  } finally {
    clearInterval(timer);
  }
});
