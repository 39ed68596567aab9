/**
 * A registry that answers everything by switching to another protocol. More of its images than there are passes over
 * copies at the same time: if each of them kept one, nobody's images would be copied any more.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, waitForImages } from '../support/backed-up.ts';
import { startFaultSetup, waitForCopyFailed, type FaultSetup } from '../support/faults-setup.ts';
import { requestsTo } from '../support/faults.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitForRollout } from '../support/rollout.ts';

const cluster = connectToCluster();
const { kube } = cluster;
const IMAGES = 20;

let setup: FaultSetup;

beforeAll(async () => {
  setup = await startFaultSetup({
    cluster,
    name: 'upgrade',
    sources: 2,
    settings: { COPY_CONCURRENCY: '4' },
  });
});

afterAll(() => setup.close());

it(
  `${IMAGES} images of a registry that switches protocols are told, and another's are copied`,
  { tags: 'attack-registry' },
  async () => {
    const [evil, good] = setup.sources;
    if (!evil || !good) {
      throw new Error('two sources are needed');
    }
    evil.misbehave({ when: requestsTo({}), does: { kind: 'upgrade' } });
    const workloads = await Promise.all(
      Array.from({ length: IMAGES }, async (_, index) =>
        setup.deploy(await setup.push(evil, `upgrade/evil-${index}`)),
      ),
    );
    for (const workload of workloads) {
      const note = await waitForCopyFailed(kube, workload, 'answered 101 Switching Protocols');
      expect(note).toContain('(Unknown)');
    }
    const image = await setup.push(good, 'upgrade/good');
    const workload = await setup.deploy(image);
    await waitForImages(kube, workload, [copyOf(image, setup.prefix)]);
    await waitForRollout(kube, workload);
  },
);
