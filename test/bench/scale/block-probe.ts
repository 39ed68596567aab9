/**
 * Loaded before a program: on SIGUSR2 it writes the longest block of the event loop so far to a file, and ends. Begins when the
 * program listens to SIGTERM: until then it loads itself, in one piece.
 */
import { writeFileSync } from 'node:fs';

import { type BlockWatch, watchBlocks } from './block-watch.ts';

/** Coarser than where nothing else is measured: here it must not cost what it measures. */
const EVERY_MS = 5;

let watch: BlockWatch | undefined;
const beginning = setInterval(() => {
  if (process.listenerCount('SIGTERM') > 0) {
    clearInterval(beginning);
    watch = watchBlocks(EVERY_MS);
  }
}, 1);
beginning.unref();
process.once('SIGUSR2', () => {
  writeFileSync(process.env['BLOCK_PROBE_FILE'] ?? '', String(watch?.end()));
});
