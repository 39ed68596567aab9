import { startApiServer } from '../support/control-plane.ts';
import { ELECTION_STEPS, type HandOver, isLate, startElectionSoak } from '../support/election/soak.ts';
import type { SoakPart } from './soak-part.ts';

/** Candidates of both kinds, and one thing after the other that happens to the leader. */
export const soakElection: SoakPart = async ({ tools, processes, random, endsAtMs, say }) => {
  const apiServer = await startApiServer({ tools, processes });
  const soak = await startElectionSoak({ tools, processes, apiServer });
  const handOvers: HandOver[] = [];
  while (performance.now() < endsAtMs) {
    const step = ELECTION_STEPS[Math.floor(random() * ELECTION_STEPS.length)] ?? 'clean stop';
    const handOver = await soak.take(step);
    handOvers.push(handOver);
    say(`election: ${step}: ${handOver.from} -> ${handOver.to}${tookText(handOver)}`);
  }
  const { terms, wrong } = await soak.finish();
  await apiServer.stop();
  say(`election: ${handOvers.length} steps, ${terms.length} terms`);
  return [
    ...wrong,
    ...handOvers.filter(isLate).map((late) => `too late: ${late.step} from ${late.from}${tookText(late)}`),
  ];
};

function tookText({ tookMs }: HandOver): string {
  return tookMs === undefined ? '' : ` in ${(tookMs / 1_000).toFixed(1)} s`;
}
