/**
 * A hostile tenant beside three who do no harm, for two minutes, on real parts: `make soak ARGS='--only tenants'` goes on for
 * as long as you like. What each act is about has a test of its own elsewhere; here they come in an order that nobody has
 * thought of.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Invariant } from '../soak/tenants/checks.ts';
import { runTenants, type TenantsReport } from '../soak/tenants/run.ts';
import { createProcesses } from '../support/processes.ts';
import { ensureTools } from '../tools/build.ts';

const MINUTES = 2;
const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);
const processes = createProcesses();
let report: TenantsReport;

function listWrong(invariant: Invariant): readonly string[] {
  return report.wrong.filter((wrong) => wrong.invariant === invariant).map(({ sentence }) => sentence);
}

describe(`beside a hostile tenant (make soak ARGS='--only tenants --minutes ${MINUTES} --seed ${SEED}')`, () => {
  beforeAll(async () => {
    const tools = await ensureTools();
    // What it did comes with what is wrong.
    const say = (): void => undefined;
    report = await runTenants({ tools, processes, seed: SEED, ms: MINUTES * 60_000, say });
    console.info(`tenants, seed ${SEED}:\n  ${report.figures.join('\n  ')}`);
  });

  afterAll(() => processes.close());

  it('copies the images of others in twice their time at most', { tags: 'attack-share' }, () => {
    expect(listWrong('copies')).toEqual([]);
  });

  it('swaps the workloads of others in twice their time at most', { tags: 'attack-share' }, () => {
    expect(listWrong('swaps')).toEqual([]);
  });

  it('blocks the event loop for 0.2 s at most', { tags: 'attack-size' }, () => {
    expect(listWrong('event loop')).toEqual([]);
  });

  it('never loses the Lease', { tags: 'attack-size' }, () => {
    expect(listWrong('lease')).toEqual([]);
  });

  it('stays alive and well', { tags: 'attack-registry' }, () => {
    expect(listWrong('health')).toEqual([]);
  });

  it('needs no more memory than its pod may have', { tags: 'attack-image' }, () => {
    expect(listWrong('memory')).toEqual([]);
  });

  it('lets nobody run what their source did not give', { tags: 'attack-annotation' }, () => {
    expect(listWrong('images')).toEqual([]);
  });

  it('lets no tag of the backup mean what its source did not give', { tags: 'attack-annotation' }, () => {
    expect(listWrong('tags')).toEqual([]);
  });
});
