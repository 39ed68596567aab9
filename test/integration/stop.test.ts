/** The end of the controller: what a signal lets it finish, what it ends, and in which order. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { findChildren, isAlive } from '../support/child-processes.ts';
import { read } from '../support/backed-up.ts';
import {
  CONTROLLER_LEASE,
  installController,
  startController,
  type Controller,
} from '../support/controller.ts';
import { requestsTo } from '../support/faults.ts';
import { startFaultyRegistry, type FaultyRegistry } from '../support/faulty-registry.ts';
import { referenceTo } from '../support/kube.ts';
import type { AnyObject, Workload } from '../support/objects.ts';
import { createAndRollOut } from '../support/rollout.ts';
import { pushImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, backup } = cluster;
/** terminationGracePeriodSeconds of the manifest. */
const GRACE_MS = 30_000;

let starts = 0;
let source: FaultyRegistry;
let release: () => void;
let controller: Controller;
let workload: Workload;
let repository: string;
let engines: readonly number[];

/** A controller in the middle of a copy. */
beforeEach(async () => {
  starts += 1;
  source = await startFaultyRegistry(cluster.source);
  release = source.misbehave({
    when: requestsTo({ method: 'GET', path: /\/blobs\// }),
    does: { kind: 'hold' },
  });
  await installController(cluster, {
    REGISTRY_PREFIX: `${backup.host}/stop-${starts}`,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
  });
  const namespace = await cluster.createNamespace();
  repository = `stop/app-${starts}`;
  await pushImage(cluster.source, {
    repository,
    tag: '1.0',
    spec: { format: 'oci-manifest', content: repository },
  });
  const images = [`${source.host}/${repository}:1.0`];
  workload = await createAndRollOut(kube, aDeployment({ namespace, images }));
  controller = await startController(cluster, { name: `stop-${starts}`, registries: [backup] });
  await waitFor(() => source.waiting() > 0, { what: 'the copy to be under way' });
  engines = await findChildren(controller.program.pid, 'regctl');
  // Workloads of other test files may be copied as well.
  expect(engines.length).toBeGreaterThan(0);
});

afterEach(async () => {
  release();
  await controller.program.stop();
  // One that was ended at once leaves it behind, and the next one would wait for it to run out.
  await kube.delete(CONTROLLER_LEASE);
  await source.close();
  // The next controller is to have one copy to make.
  await kube.delete(referenceTo(workload));
});

async function readHolder(): Promise<unknown> {
  const lease = await kube.get<AnyObject & { spec: { holderIdentity?: string } }>(CONTROLLER_LEASE);
  return lease?.spec.holderIdentity ?? '';
}

/** About the copy of this test, and about the whole. */
async function listMessages(): Promise<readonly unknown[]> {
  const lines = await controller.log();
  const isOurs = ({ copy }: (typeof lines)[number]): boolean =>
    typeof copy !== 'string' || copy.includes(`/${repository}:`);
  return lines.filter(isOurs).map(({ message }) => message);
}

describe('SIGTERM', () => {
  it('lets a copy finish that takes no longer than the grace, and gives the Lease back after it', async () => {
    const { ended } = controller.program;
    expect(await readHolder()).not.toBe('');
    controller.program.kill('SIGTERM');
    await waitFor(async () => (await listMessages()).includes('stopping'), { what: 'it to begin to stop' });
    expect(await readHolder()).not.toBe('');
    release();
    expect(await ended).toBe(0);
    const order = ['stopping', 'copy verified', 'lease released', 'stopped'];
    expect((await listMessages()).filter((message) => order.includes(String(message)))).toEqual(order);
    expect(await readHolder()).toBe('');
    // The next one finds the copy; this one has begun nothing new.
    expect((await read(kube, workload)).metadata.generation).toBe(1);
  });

  it('ends a copy that takes longer, all within the time that a pod has', async () => {
    const { ended } = controller.program;
    const startedAtMs = performance.now();
    controller.program.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(performance.now() - startedAtMs).toBeLessThan(GRACE_MS);
    expect(engines.filter(isAlive)).toEqual([]);
    expect(await readHolder()).toBe('');
  });
});

it('a second signal ends it at once, and its engine with it', async () => {
  const { ended } = controller.program;
  controller.program.kill('SIGTERM');
  await waitFor(async () => (await listMessages()).includes('stopping'), { what: 'it to begin to stop' });
  const startedAtMs = performance.now();
  controller.program.kill('SIGTERM');
  expect(await ended).toBe(1);
  // Less than the time that a copy is given.
  expect(performance.now() - startedAtMs).toBeLessThan(10_000);
  await waitFor(() => !engines.some(isAlive), { what: 'the engine to be gone' });
});
