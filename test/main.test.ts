import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../src/main.ts');

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backup-image-registry-main-'));
  await writeEngine('VCSTag:     v0.11.5');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** An engine that can only say its version. */
async function writeEngine(version: string): Promise<void> {
  await writeFile(join(folder, 'regctl'), `#!/bin/sh\necho '${version}'\n`);
  await chmod(join(folder, 'regctl'), 0o755);
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function runMain(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: `${folder}:/usr/bin:/bin`, HOME: folder, ...environment } };
    execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) => {
      resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

it('explains itself', async () => {
  const { exitCode, stdout } = await runMain(['--help']);
  expect(exitCode).toBe(0);
  for (const flag of [
    '--kubeconfig',
    '--leader-elect',
    '--metrics-bind-address',
    '--health-probe-bind-address',
  ]) {
    expect(stdout).toContain(flag);
  }
});

it.each(['run', 'plan', 'restore', 'map'])('explains the command %s', async (name) => {
  expect((await runMain(['--help'])).stdout).toContain(`\n  ${name} `);
  const { exitCode, stdout } = await runMain([name, '--help']);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('--kubeconfig');
});

it.each([[[]], [['run']]])('takes the flags of the controller after %j', async (command) => {
  const flags = ['--leader-elect', '--kube-api-qps=20.5', '--kube-api-burst=50', '--kubeconfig=/nonexistent'];
  const { exitCode, stderr } = await runMain([...command, ...flags]);
  expect(stderr).toMatch(/\/nonexistent cannot be read/);
  expect(exitCode).toBe(2);
});

it('plans without the copy engine', async () => {
  const { stderr } = await runMain(['plan', '--kubeconfig=/nonexistent'], { PATH: '/nonexistent' });
  expect(stderr).toMatch(/\/nonexistent cannot be read/);
});

it.each([
  [
    'a flag that does not exist',
    ['--leader-elekt'],
    /unknown option '--leader-elekt'.*Did you mean --leader-elect/s,
  ],
  ['a flag that is neither true nor false', ['--leader-elect=maybe'], /--leader-elect must be true or false/],
  ['an address that is none', ['--metrics-bind-address=x'], /--metrics-bind-address must be host:port/],
  ['a rate of nothing', ['--kube-api-qps=0'], /--kube-api-qps must be a number above 0, or -1/],
  ['a rate that is none', ['--kube-api-qps=fast'], /--kube-api-qps must be a number above 0, or -1/],
  [
    'a burst that is none',
    ['--kube-api-qps=0.5', '--kube-api-burst=0'],
    /--kube-api-burst must be a whole number/,
  ],
  ['a burst below the rate', ['--kube-api-qps=20', '--kube-api-burst=10'], /not below --kube-api-qps/],
  ['a burst without a rate', ['--kube-api-burst=10'], /means nothing without --kube-api-qps/],
  ['an argument', ['run-fast'], /too many arguments/],
  ['a command after flags of the controller', ['--leader-elect=true', 'plan'], /too many arguments/],
  ['an output that there is not', ['plan', '-o', 'yaml'], /Allowed choices are table, json/],
  ['a workload without its namespace', ['restore', 'deploy/web'], /say which one with --namespace/],
  [
    'a kubeconfig that is not there',
    ['--kubeconfig=/nonexistent/config'],
    /\/nonexistent\/config cannot be read/,
  ],
])('ends with exit code 2 and one sentence on %s', async (_, args, message) => {
  const { exitCode, stderr } = await runMain(args);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(exitCode).toBe(2);
});

it('ends with exit code 2 when the credentials cannot be understood, and does not quote them', async () => {
  await writeFile(join(folder, 'config.json'), '{"auths": {"registry.example": {"auth": "hunter2"');
  const { exitCode, stderr } = await runMain([], { DOCKER_CONFIG: folder });
  expect(stderr).toContain(join(folder, 'config.json'));
  expect(stderr).not.toContain('hunter2');
  expect(exitCode).toBe(2);
});

it('ends with exit code 2 when the copy engine is missing', async () => {
  const { exitCode, stderr } = await runMain([], { PATH: '/nonexistent' });
  expect(stderr).toMatch(/regctl is not in PATH: install regctl 0\.11\.5 or newer/);
  expect(exitCode).toBe(2);
});

it('ends with exit code 2 when the copy engine is too old', async () => {
  await writeEngine('VCSTag:     v0.11.4');
  const { exitCode, stderr } = await runMain([]);
  expect(stderr).toMatch(/regctl is version 0\.11\.4: 0\.11\.5 or newer is needed/);
  expect(exitCode).toBe(2);
});
