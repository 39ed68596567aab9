import type { ChildProcess } from 'node:child_process';

/** A process that inherited the pipes and outlives the program must not hold us up. */
const DRAIN_MS = 1_000;

/**
 * The exit code of a program once it is gone and its output was read; null when a signal ended it. Null as well once
 * `givenUp` is aborted, for one that is never gone: in a file system that hangs, not even SIGKILL ends a process.
 *
 * @throws {Error} of Node when the program could not be started.
 */
export function waitForEnd(child: ChildProcess, givenUp: AbortSignal): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const closePipes = (): void => {
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const onGivenUp = (): void => {
      closePipes();
      child.unref();
      resolve(null);
    };
    givenUp.addEventListener('abort', onGivenUp, { once: true });
    child.on('error', reject);
    child.once('exit', () => {
      const drain = setTimeout(closePipes, DRAIN_MS);
      child.once('close', (exitCode) => {
        clearTimeout(drain);
        givenUp.removeEventListener('abort', onGivenUp);
        resolve(exitCode);
      });
    });
  });
}
