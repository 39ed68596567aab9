import { startCuttingProxy } from '../support/api-faults/cutting-proxy.ts';
import { freezeApiServer, SERVER_FAULTS, WAY_FAULTS } from '../support/api-faults/happenings.ts';
import { startSubject } from '../support/api-faults/subject.ts';
import { startCluster } from '../support/cluster.ts';
import { shuffle } from '../support/random.ts';
import type { SoakPart } from './soak-part.ts';

/** A controller behind a proxy, while its API server, and the way to it, go wrong at random. */
export const soakFaults: SoakPart = async ({ random, endsAtMs, say }) => {
  const cluster = await startCluster();
  const { controlPlane } = cluster;
  const proxy = await startCuttingProxy(controlPlane.connection);
  const wrong: string[] = [];
  try {
    const subject = await startSubject({ cluster, name: 'soak-faults', through: proxy.connection });
    const ofServer = [...SERVER_FAULTS, freezeApiServer(120)].map(({ happen, ...rest }) => ({
      ...rest,
      happen: () => happen(controlPlane),
    }));
    const ofWay = WAY_FAULTS.map(({ happen, ...rest }) => ({
      ...rest,
      happen: () => happen({ controlPlane, proxy, subject }),
    }));
    const all = [...ofServer, ...ofWay];
    while (performance.now() < endsAtMs && wrong.length === 0) {
      const [next] = shuffle(all, random);
      if (!next) {
        break;
      }
      const { fault, mostRestarts, happen } = next;
      const result = await subject.endure(fault, happen).catch((error: unknown) => String(error));
      if (typeof result === 'string') {
        wrong.push(`${fault}: ${result}`);
      } else {
        const { cacheEqual, nextSwap, restarts } = result;
        say(
          `faults: ${fault}: cache equal after ${cacheEqual}, next swap after ${nextSwap}, restarts ${restarts}`,
        );
        wrong.push(...(restarts > mostRestarts ? [`${fault}: ${restarts} restarts`] : []));
      }
    }
    await subject.stop();
  } finally {
    await proxy.close();
    await cluster.stop();
  }
  return wrong;
};
