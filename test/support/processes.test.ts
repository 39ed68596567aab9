import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { createProcesses } from './processes.ts';
import { waitFor } from './wait-for.ts';

describe.concurrent('started programs', () => {
  /** Starts a program through `createProcesses()` in a process of its own, which then waits, or crashes when told to. */
  const SCRIPT = `
    import { createProcesses } from '${join(import.meta.dirname, 'processes.ts')}';
    const processes = createProcesses();
    const { pid } = await processes.run({ name: 'sleeper', command: 'sleep', args: ['600'] });
    console.log(JSON.stringify({ pid, folder: processes.folder }));
    process.stdin.once('data', () => { throw new Error('crash'); });
  `;

  async function startParent(): Promise<{ parent: ChildProcess; pid: number; folder: string }> {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    return { parent, ...(JSON.parse(line) as { pid: number; folder: string }) };
  }

  function isAlive(pid: number): boolean {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  }

  it.each([
    ['is killed', (parent: ChildProcess) => parent.kill('SIGKILL')],
    ['gets SIGTERM', (parent: ChildProcess) => parent.kill('SIGTERM')],
    ['gets Ctrl-C', (parent: ChildProcess) => parent.kill('SIGINT')],
    ['crashes', (parent: ChildProcess) => parent.stdin?.write('x')],
  ])('end, and their folder goes, when the process that started them %s', async (_, end) => {
    const { parent, pid, folder } = await startParent();
    expect([isAlive(pid), existsSync(folder)]).toEqual([true, true]);
    end(parent);
    await waitFor(() => !isAlive(pid) && !existsSync(folder), { what: 'the watchdog to clean up' });
  });

  it('are stopped with SIGKILL when SIGTERM is not enough, together with their children', async () => {
    const processes = createProcesses();
    const script = 'trap "" TERM; sleep 600 & echo $!; wait; sleep 600';
    const program = await processes.run({
      name: 'stubborn',
      command: 'sh',
      args: ['-c', script],
      graceMs: 300,
    });
    const child = await waitFor(async () => Number(await program.log()), { what: 'the id of its child' });
    const { pid = 0 } = program;
    expect([isAlive(pid), isAlive(child)]).toEqual([true, true]);
    await processes.close();
    expect(await program.ended).toBe('SIGKILL');
    await waitFor(() => !isAlive(child), { what: 'the child to be gone' });
    expect(existsSync(processes.folder)).toBe(false);
  });

  it('that end at once are reported with what they said', async () => {
    const processes = createProcesses();
    const failing = { name: 'failing', command: 'sh', args: ['-c', 'echo no such option; exit 3'] };
    await expect(processes.run({ ...failing, isReady: () => Promise.resolve(false) })).rejects.toThrow(
      /failing did not start: it ended with 3\. Its log ends with:\nno such option/,
    );
    await processes.close();
  });
});
