/**
 * Lets one thing after the other go wrong, at random and for a while, and says what the controller did not survive.
 *
 * `--minutes 30` for how long each part goes on, `--seed 7` for the same order of events again, `--only election` for one
 * part; for the tenants, `--act 'a full quota'` for what the hostile one does, and nothing else. The short form of each part is
 * in `make test`.
 */
import { parseArgs } from 'node:util';

import { createProcesses } from '../support/processes.ts';
import { createRandom } from '../support/random.ts';
import { ensureTools } from '../tools/build.ts';
import { soakElection } from './election.ts';
import { soakFaults } from './faults.ts';
import type { SoakPart } from './soak-part.ts';
import { soakTenants } from './tenants.ts';

const PARTS: Readonly<Record<string, SoakPart>> = {
  election: soakElection,
  faults: soakFaults,
  tenants: soakTenants,
};

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', multiple: true, default: Object.keys(PARTS) },
    act: { type: 'string', multiple: true, default: [] },
  },
});
const minutes = Number(values.minutes);
if (
  !(minutes > 0) ||
  !/^\d+$/.test(values.seed) ||
  !values.only.every((name) => Object.hasOwn(PARTS, name))
) {
  throw new Error(`usage: --minutes 30 --seed 7 --only ${Object.keys(PARTS).join('|')}`);
}

const tools = await ensureTools();
const wrong: string[] = [];
console.error(`--minutes ${minutes} --seed ${values.seed}`);
for (const name of values.only) {
  const processes = createProcesses();
  try {
    const found = await PARTS[name]?.({
      tools,
      processes,
      random: createRandom(Number(values.seed)),
      seed: Number(values.seed),
      acts: values.act,
      endsAtMs: performance.now() + minutes * 60_000,
      say: (text) => console.error(text),
    });
    wrong.push(...(found ?? []));
  } finally {
    await processes.close();
  }
}
for (const sentence of wrong) {
  console.error(`WRONG: ${sentence}`);
}
process.exitCode = wrong.length === 0 ? 0 : 1;
