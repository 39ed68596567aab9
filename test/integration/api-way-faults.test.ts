/**
 * What happens on the way to the API server, to tokens and to file descriptors, on a control plane of its own. What holds
 * after every fault is that of `api-server-faults.test.ts`.
 */
import { execFile } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { type CuttingProxy, startCuttingProxy } from '../support/api-faults/cutting-proxy.ts';
import { WAY_FAULTS } from '../support/api-faults/happenings.ts';
import {
  type FaultResult,
  installDepsOf,
  startSubject,
  type Subject,
} from '../support/api-faults/subject.ts';
import { createTokenThatCanEnd, writeTokenFileKubeconfig } from '../support/api-faults/token.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';
import { waitFor } from '../support/wait-for.ts';

const run = promisify(execFile);
const TIMEOUT = { timeout: 240_000 };

const results: FaultResult[] = [];
let cluster: Cluster;
let subject: Subject;
let proxy: CuttingProxy;
let tokenFile: string;

beforeAll(async () => {
  cluster = await startCluster();
  proxy = await startCuttingProxy(cluster.controlPlane.connection);
  subject = await startSubject({
    cluster,
    name: 'way-faults',
    through: proxy.connection,
    writeKubeconfig: async (file, connection) => {
      tokenFile = join(dirname(file), 'token');
      await writeTokenFileKubeconfig(file, connection, tokenFile);
    },
  });
});

afterAll(async () => {
  console.table(results);
  await subject.stop();
  await proxy.close();
  await cluster.stop();
});

async function endure(fault: string, happen: () => Promise<void>): Promise<FaultResult> {
  const result = await subject.endure(fault, happen);
  results.push(result);
  return result;
}

it.each(WAY_FAULTS)('survives: $fault', TIMEOUT, async ({ fault, mostRestarts, happen }) => {
  const { controlPlane } = cluster;
  const { restarts } = await endure(fault, () => happen({ controlPlane, proxy, subject }));
  expect(restarts, await subject.readErrors()).toBeLessThanOrEqual(mostRestarts);
});

it('after the compaction the list is read anew', async () => {
  expect(await subject.mirror.program.log()).toContain('"message":"resource changed too much meanwhile');
});

it('survives: a token that has ended, until a new one is in its file', TIMEOUT, async () => {
  const deps = installDepsOf(cluster);
  const ending = await createTokenThatCanEnd(deps);
  const next = await createTokenThatCanEnd(deps);
  const replace = async (token: string): Promise<void> => {
    await writeFile(`${tokenFile}.next`, token, { mode: 0o600 });
    await rename(`${tokenFile}.next`, tokenFile);
  };
  await replace(ending.token);
  // Of the process: a restart takes it.
  await subject.controller.program.stop();
  await waitFor(async () => (await fetch(`${subject.controller.healthUrl}/readyz`)).ok, {
    what: 'a new process',
  });
  const { restarts } = await endure('token ended, new one once that was noticed', async () => {
    await ending.end();
    proxy.cutWatches();
    await waitFor(async () => (await subject.controller.program.log()).includes('Unauthorized'), {
      what: 'the token to be refused',
    });
    await replace(next.token);
  });
  expect(restarts, await subject.readErrors()).toBe(0);
});

it('survives: no file descriptors for a while', TIMEOUT, async () => {
  const programs = [subject.controller.program, subject.mirror.program];
  const limit = (soft: string) =>
    Promise.all(programs.map(({ pid }) => run('prlimit', ['--pid', String(pid), `--nofile=${soft}:`])));
  const { restarts } = await endure('no file descriptors, until that was noticed', async () => {
    await limit('3');
    proxy.cutWatches();
    await subject.churn();
    await waitFor(async () => (await subject.mirror.program.log()).includes('EMFILE'), {
      what: 'a watch that cannot be opened again',
    });
    await limit('1024');
  });
  expect(restarts, await subject.readErrors()).toBe(0);
});
