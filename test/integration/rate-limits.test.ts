/** A source that tells how much it still allows, as Docker Hub does. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { requestsTo } from '../support/faults.ts';
import {
  forImage,
  listRequests,
  startFaultSetup,
  waitForCopyFailed,
  type FaultSetup,
} from '../support/faults-setup.ts';
import type { Fault, FaultyRegistry } from '../support/faulty-registry.ts';
import type { PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';

const cluster = connectToCluster();
const { kube } = cluster;
/** A tenth of it is how long the source is left to the nodes. */
const WINDOW_S = 40;

let setup: FaultSetup;
let source: FaultyRegistry;

beforeAll(async () => {
  setup = await startFaultSetup({ cluster, name: 'rate-limits', sources: 1 });
  [source] = setup.sources as [FaultyRegistry];
});

afterAll(async () => {
  await setup.close();
});

/** For the requests of everybody: the nodes use up the same limit. */
function tells(remaining: number): Fault {
  const headers = {
    'ratelimit-limit': `100;w=${WINDOW_S}`,
    'ratelimit-remaining': `${remaining};w=${WINDOW_S}`,
  };
  return { when: requestsTo({ path: /\/manifests\//, by: 'anybody' }), does: { kind: 'headers', headers } };
}

async function readRemaining(): Promise<string | undefined> {
  const text = await (await fetch(setup.controller.metricsUrl)).text();
  return /^backup_image_registry_source_ratelimit_remaining\{host="([^"]*)"\} 20$/m.exec(text)?.[1];
}

function listDownloads(image: PushedImage): readonly string[] {
  return listRequests(source, image)
    .filter(({ method }) => method === 'GET')
    .map(({ path }) => path);
}

it('leaves the last fifth of the limit to the nodes, and goes on when there is more again', async () => {
  const image = await setup.push(source, 'limited/app');
  // Without a pod that shows what it runs, the tag is looked up, which tells how much is left.
  const letNodes = source.misbehave(
    forImage(image, { when: requestsTo({ by: 'nodes' }), does: { kind: 'hold' } }),
  );
  const end = source.misbehave(forImage(image, tells(20)));
  const workload = await setup.deploy(image);
  const told = await waitForCopyFailed(kube, workload, 'which are left to the nodes');
  expect(told).toMatch(/\(RateLimited\): .* allows only 20 of 100 more downloads/);
  expect(await waitFor(readRemaining, { what: 'the metric' })).toBe(source.host);
  expect(listDownloads(image)).toEqual([]);
  expect(imagesOf(await read(kube, workload))).toEqual([image.reference]);
  letNodes();
  end();
  const more = source.misbehave(forImage(image, tells(21)));
  await waitForImages(kube, workload, [copyOf(image, setup.prefix)]);
  more();
});
