/**
 * What happens to API servers, on a control plane of its own that is restarted, frozen and compacted. After every fault a
 * mirror made of the controller's own reflectors has what the server has, object by object; the controller swaps the next
 * workload, no workload twice, and has not been restarted more than a lost Lease asks for.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { SERVER_FAULTS } from '../support/api-faults/happenings.ts';
import { type FaultResult, startSubject, type Subject } from '../support/api-faults/subject.ts';
import { startCluster, type Cluster } from '../support/cluster.ts';

const results: FaultResult[] = [];
let cluster: Cluster;
let subject: Subject;

beforeAll(async () => {
  cluster = await startCluster();
  const through = cluster.controlPlane.connection;
  subject = await startSubject({ cluster, name: 'server-faults', through });
});

afterAll(async () => {
  console.table(results);
  await subject.stop();
  await cluster.stop();
});

it.each(SERVER_FAULTS)('survives: $fault', { timeout: 240_000 }, async ({ fault, mostRestarts, happen }) => {
  const result = await subject.endure(fault, () => happen(cluster.controlPlane));
  results.push(result);
  expect(result.restarts, await subject.readErrors()).toBeLessThanOrEqual(mostRestarts);
});
