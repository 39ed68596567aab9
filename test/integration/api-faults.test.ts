/**
 * What happens to API servers and to the way to them, on a control plane of its own that is restarted, frozen and
 * compacted. After every fault a mirror made of the controller's own reflectors has what the server has, object by
 * object; the controller swaps the next workload, no workload twice, and has not been restarted more than a lost Lease
 * asks for.
 */
import { execFile } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type CuttingProxy, startCuttingProxy } from '../support/api-faults/cutting-proxy.ts';
import { compactEtcd } from '../support/api-faults/etcd.ts';
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

async function endure(subject: Subject, fault: string, happen: () => Promise<void>): Promise<FaultResult> {
  const result = await subject.endure(fault, happen);
  results.push(result);
  return result;
}

beforeAll(async () => {
  cluster = await startCluster();
}, 120_000);

afterAll(async () => {
  console.table(results);
  await cluster.stop();
}, 60_000);

describe('an API server', () => {
  let subject: Subject;

  beforeAll(async () => {
    subject = await startSubject({
      cluster,
      name: 'server-faults',
      through: cluster.controlPlane.connection,
    });
  }, 120_000);

  afterAll(() => subject.stop());

  it('that is restarted', TIMEOUT, async () => {
    const { apiServer } = cluster.controlPlane;
    const { restarts } = await endure(subject, 'API server restarted', async () => {
      await apiServer.stop();
      await apiServer.start();
    });
    expect(restarts).toBeLessThanOrEqual(1);
  });

  it('whose etcd is restarted', TIMEOUT, async () => {
    const { etcd } = cluster.controlPlane;
    const { restarts } = await endure(subject, 'etcd restarted', async () => {
      await etcd.stop();
      await etcd.start();
    });
    expect(restarts).toBeLessThanOrEqual(1);
  });

  it.each([
    [5, 0],
    [30, 1],
  ])('that is frozen for %i s', TIMEOUT, async (seconds, mostRestarts) => {
    const { apiServer } = cluster.controlPlane;
    const { restarts } = await endure(subject, `API server frozen for ${seconds} s`, async () => {
      apiServer.kill('SIGSTOP');
      await sleep(seconds * 1_000);
      apiServer.kill('SIGCONT');
    });
    expect(restarts).toBeLessThanOrEqual(mostRestarts);
  });
});

describe('the way to the API server', () => {
  let subject: Subject;
  let proxy: CuttingProxy;
  let tokenFile: string;

  beforeAll(async () => {
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
  }, 120_000);

  afterAll(async () => {
    await subject.stop();
    await proxy.close();
  });

  it('is cut in the middle of an event', TIMEOUT, async () => {
    const { restarts } = await endure(subject, 'watches cut in the middle of an event', async () => {
      proxy.cutWatchesInEvent();
      await subject.churn();
    });
    expect(restarts).toBe(0);
  });

  it('brings a line that is no JSON', TIMEOUT, async () => {
    const { restarts } = await endure(subject, 'garbage in watches', async () => {
      proxy.sendGarbage();
      await subject.churn();
    });
    expect(restarts).toBe(0);
  });

  it('is closed for longer than etcd remembers', TIMEOUT, async () => {
    const { apiServer, etcdUrl } = cluster.controlPlane;
    const { restarts } = await endure(subject, 'etcd compacted during a disconnect', async () => {
      await proxy.goDown();
      await subject.churn();
      await compactEtcd(etcdUrl);
      // It remembers recent changes itself.
      await apiServer.stop();
      await apiServer.start();
      await proxy.comeBack();
    });
    expect(restarts).toBeLessThanOrEqual(1);
    expect(await subject.mirror.program.log()).toContain('"message":"resource changed too much meanwhile');
  });

  it('is overloaded: everything is answered with 429 for a while', TIMEOUT, async () => {
    const { restarts } = await endure(subject, '429 with Retry-After for 6 s', async () => {
      const end = proxy.refuse({ status: 429, retryAfterSeconds: 1 });
      proxy.cutWatches();
      const before = proxy.requests;
      await sleep(6_000);
      // A storm would be hundreds.
      expect(proxy.requests - before).toBeLessThan(120);
      end();
    });
    expect(restarts).toBe(0);
  });

  it('asks for a token that has ended, until a new one is in its file', TIMEOUT, async () => {
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
    const { restarts } = await endure(subject, 'token ended, new one 4 s later', async () => {
      await ending.end();
      proxy.cutWatches();
      await sleep(4_000);
      await replace(next.token);
    });
    expect(restarts).toBe(0);
    expect(await subject.controller.program.log()).toContain('Unauthorized');
  });

  it('needs more files than there are', TIMEOUT, async () => {
    const programs = [subject.controller.program, subject.mirror.program];
    const limit = (soft: string) =>
      Promise.all(programs.map(({ pid }) => run('prlimit', ['--pid', String(pid), `--nofile=${soft}:`])));
    const { restarts } = await endure(subject, 'no file descriptors for 5 s', async () => {
      await limit('3');
      proxy.cutWatches();
      await subject.churn();
      await sleep(5_000);
      await limit('1024');
    });
    expect(restarts).toBe(0);
    expect(await subject.mirror.program.log()).toContain('EMFILE');
  });
});
