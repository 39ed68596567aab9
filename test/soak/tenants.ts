import type { SoakPart } from './soak-part.ts';
import { ACT_NAMES } from './tenants/hostile-acts.ts';
import { runTenants } from './tenants/run.ts';

/** A hostile tenant beside others: each attack on its own is a test elsewhere, and here they come in any order. */
export const soakTenants: SoakPart = async ({ tools, processes, seed, acts, endsAtMs, say }) => {
  const only = ACT_NAMES.filter((name) => acts.includes(name));
  if (only.length < acts.length) {
    throw new Error(`usage: --act '${ACT_NAMES.join(`'|'`)}'`);
  }
  const { wrong, figures } = await runTenants({
    tools,
    processes,
    seed,
    only,
    ms: endsAtMs - performance.now(),
    say,
  });
  for (const figure of figures) {
    say(`tenants: ${figure}`);
  }
  return wrong.map(({ sentence }) => sentence);
};
