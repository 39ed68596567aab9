/** The controller's leader election among candidates of client-go's, on a real API server. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { startApiServer, type ApiServer } from '../support/control-plane.ts';
import { isLate, startElectionSoak, type ElectionStep, type HandOver } from '../support/election/soak.ts';
import { createRandom, shuffle } from '../support/random.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const { tools, processes } = connectToCluster();
/** The order of the steps; who leads is up to the candidates. */
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const STEPS: readonly ElectionStep[] = ['clean stop', 'clean stop', 'kill -9', 'pause', 'API server restart'];

let apiServer: ApiServer;

beforeAll(async () => {
  apiServer = await startApiServer({ tools, processes });
});

afterAll(async () => {
  await apiServer.stop();
});

it(`never has two leaders, and a new one soon (SEED=${SEED})`, { timeout: 180_000 }, async () => {
  const soak = await startElectionSoak({ tools, processes, apiServer });
  const handOvers: HandOver[] = [];
  for (const step of shuffle(STEPS, createRandom(SEED))) {
    handOvers.push(await soak.take(step));
  }
  const { terms, wrong } = await soak.finish();
  console.table(handOvers);
  expect(wrong).toEqual([]);
  expect(terms.length).toBeGreaterThanOrEqual(4);
  expect(handOvers.filter(isLate)).toEqual([]);
});
