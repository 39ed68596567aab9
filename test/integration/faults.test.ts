/**
 * What can go wrong at a registry, and what the controller makes of it. The names of the tests are the table: what goes
 * wrong → outcome: what the user reads in the event → what happens then.
 *
 * In every test the nodes have the image or get it as soon as the fault ends, so the workload could be swapped at any time.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { changeSettings } from '../support/controller.ts';
import { listEvents, waitForEvent } from '../support/events.ts';
import {
  forImage,
  listRequests,
  restart,
  startFaultSetup,
  waitForCopyFailed,
  type FaultSetup,
} from '../support/faults-setup.ts';
import { ANSWERS, ENDLESS, HARMLESS, type FaultRow, type HarmlessRow } from '../support/faults-table.ts';
import type { FaultyRegistry, FaultyRequest } from '../support/faulty-registry.ts';
import { findDigest, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const cluster = connectToCluster();
const { kube, backup } = cluster;
/** More than the engine repeats by itself in two tries: the first, and one when a pod shows what the workload runs. */
const MOST_REFUSED = 20;
/** An engine that is told to end may have a request on the way. */
const ENDING_MS = 2_000;

let setup: FaultSetup;
let freeSources: FaultyRegistry[];

beforeAll(async () => {
  const sources = ANSWERS.length + ENDLESS.length + HARMLESS.length;
  setup = await startFaultSetup({ cluster, name: 'faults', sources });
  freeSources = [...setup.sources];
});

afterAll(async () => {
  await setup.close();
});

function takeSource(): FaultyRegistry {
  const free = freeSources.pop();
  if (!free) {
    throw new Error('no source is left');
  }
  return free;
}

/** The name of a repository says which test it belongs to. */
function toRepository(what: string): string {
  return what
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 55)
    .replace(/-$/, '');
}

async function expectCopied(image: PushedImage): Promise<void> {
  const repository = `faults/${image.host.replace(':', '_')}/${image.repository}`;
  const tag = `1.0--${image.digest.slice('sha256:'.length, 'sha256:'.length + 12)}`;
  expect(await findDigest(backup, { repository, tag })).toBe(image.digest);
}

async function expectFault(row: FaultRow): Promise<void> {
  const { what, at, fault, outcome, told, next, quietMs } = row;
  const source = takeSource();
  const faulty = at === 'source' ? source : setup.backup;
  const image = await setup.push(source, toRepository(what));
  const mend = faulty.misbehave(forImage(image, fault));
  const workload = await setup.deploy(image);

  expect(await waitForCopyFailed(kube, workload, told)).toContain(`(${outcome})`);
  const during = await read(kube, workload);
  expect([during.metadata.generation, imagesOf(during)]).toEqual([1, [image.reference]]);
  expect(listRequests(faulty, image).filter(({ isFaulty }) => isFaulty).length).toBeLessThan(MOST_REFUSED);

  mend();
  if (next === 'left alone until the workload rolls out') {
    await restart(kube, workload);
  }
  await waitForImages(kube, workload, [copyOf(image, setup.prefix)]);
  await expectCopied(image);
  if (quietMs !== undefined) {
    expectQuiet(listRequests(faulty, image), quietMs);
  }
}

function expectQuiet(requests: readonly FaultyRequest[], quietMs: number): void {
  const startMs = requests.find(({ isFaulty }) => isFaulty)?.atMs ?? 0;
  const laterMs = requests.map(({ atMs }) => atMs - startMs).filter((ms) => ms > ENDING_MS);
  expect(Math.min(...laterMs)).toBeGreaterThanOrEqual(quietMs);
}

async function expectNothing({ what, at, faults }: HarmlessRow): Promise<void> {
  const source = takeSource();
  const faulty = at === 'source' ? source : setup.backup;
  const image = await setup.push(source, toRepository(what));
  for (const fault of faults) {
    faulty.misbehave(forImage(image, fault));
  }
  const workload = await setup.deploy(image);
  await waitForImages(kube, workload, [copyOf(image, setup.prefix)]);
  await expectCopied(image);
  expect(listRequests(faulty, image).some(({ isFaulty }) => isFaulty)).toBe(true);
  await waitForEvent(kube, workload, 'ImageSwapped');
  expect((await listEvents(kube, workload)).map(({ reason }) => reason)).toEqual(['ImageSwapped']);
}

const toCase = (row: FaultRow) => [`${row.what} → ${row.outcome}: “${row.told}” → ${row.next}`, row] as const;

describe.concurrent('the workload is not touched, and runs the proven copy in the end, when', () => {
  it.each(ANSWERS.map(toCase))('%s', (_, row) => expectFault(row));
});

describe.concurrent('nobody notices, and the workload runs the proven copy, when', () => {
  it.each(HARMLESS.map((row) => [row.what, row] as const))('%s', (_, row) => expectNothing(row));
});

describe('with a deadline of 3 s for a copy', () => {
  beforeAll(() => changeSettings(kube, { COPY_TIMEOUT: '3s' }));

  describe.concurrent('the workload is not touched, and runs the proven copy in the end, when', () => {
    it.each(ENDLESS.map(toCase))('%s', (_, row) => expectFault(row));
  });
});
