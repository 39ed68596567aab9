/** Part cluster: a whole cluster, from an empty backup until every workload runs from it. */
import type { Workload } from '../../support/objects.ts';
import type { Registry } from '../../support/registry.ts';
import type { SampleImage } from '../../support/seed-images.ts';
import { startDelayedRegistry } from '../delayed-registry.ts';
import { type Laboratory, planSmallImages, seed, withDelay, withRegistry } from '../laboratory.ts';
import { type Finding, formatSeconds } from '../report.ts';
import { prepareSnapshot, startBenchCluster } from './bench-cluster.ts';
import { type ControllerRun, copyPlainly, rollOutPlainly, runController, type Start } from './contestants.ts';
import { DELAY_MS, describeCluster, IMAGES, MANY_ROLLOUTS, type Pair } from './findings.ts';
import { planWorkloads, WORKLOADS } from './workloads.ts';

interface Scene {
  readonly lab: Laboratory;
  readonly source: Registry;
  readonly images: readonly SampleImage[];
  readonly workloads: readonly Workload[];
  readonly snapshot: Awaited<ReturnType<typeof prepareSnapshot>>;
}

/** Where the registries are. */
interface Distance {
  readonly delayMs: number;
  /** Which answers for the source. */
  readonly source: Registry;
}

/** A new cluster with the workloads, and an empty backup, which is asked directly or from afar. */
async function begin<T>(
  { lab, source, images, workloads, snapshot }: Scene,
  distance: Distance,
  work: (start: Start) => Promise<T>,
): Promise<T> {
  const cluster = await startBenchCluster(lab, snapshot);
  try {
    return await withRegistry(lab, (backup) =>
      withDelay(backup, distance.delayMs, (backupHost) =>
        work({
          cluster,
          workloads,
          images,
          sourceHost: source.host,
          backupHost,
          registries: [distance.source, backup],
        }),
      ),
    );
  } finally {
    await cluster.stop();
  }
}

/** The workloads name the source by its port, so behind that port another one takes its place. */
async function withFarSource<T>(
  { lab, source, images }: Scene,
  work: (distance: Distance) => Promise<T>,
): Promise<T> {
  return withRegistry(lab, async (other) => {
    await seed(other, images);
    await source.stop();
    const delayed = await startDelayedRegistry(other, DELAY_MS, Number(new URL(source.url).port));
    try {
      return await work({ delayMs: DELAY_MS, source: other });
    } finally {
      await delayed.close();
      await source.start();
    }
  });
}

/** Each takes minutes. */
const MOST_PAIRS = 3;

const COPY_ONLY = { settings: { MODE: 'copy' }, until: 'copied' } as const;

async function runFar(scene: Scene): Promise<Pair['far']> {
  return withFarSource(scene, async (distance) => ({
    plain: await begin(scene, distance, (start) => copyPlainly(scene.lab, start)),
    swapping: await begin(scene, distance, (start) =>
      runController(start, { settings: {}, until: 'copied' }),
    ),
    copying: await begin(scene, distance, (start) => runController(start, COPY_ONLY)),
  }));
}

async function runPair(scene: Scene, isFirst: boolean): Promise<Pair> {
  const near = { delayMs: 0, source: scene.source };
  return {
    plain: await begin(scene, near, async (start) => ({
      copies: await copyPlainly(scene.lab, start),
      rollouts: await rollOutPlainly(start),
    })),
    many: await begin(scene, near, (start) =>
      runController(start, {
        settings: { MAX_CONCURRENT_ROLLOUTS: String(MANY_ROLLOUTS) },
        until: 'rolled out',
      }),
    ),
    // Its rollouts are told of and not compared: once is enough.
    few: await begin(scene, near, (start) =>
      runController(start, { settings: {}, until: isFirst ? 'rolled out' : 'copied' }),
    ),
    copying: await begin(scene, near, (start) => runController(start, COPY_ONLY)),
    far: await runFar(scene),
  };
}

function sayTimes(lab: Laboratory, { plain, many, few, copying, far }: Pair): void {
  const say = ({ copiesMs, rolledOutMs }: ControllerRun): string =>
    [copiesMs, rolledOutMs].map((ms) => (ms === undefined ? '-' : formatSeconds(ms))).join(', ');
  lab.say(
    `  plain: ${formatSeconds(plain.copies.wallMs)}, ${formatSeconds(plain.rollouts.wallMs)}; ` +
      `controller, ${MANY_ROLLOUTS}: ${say(many)}; default: ${say(few)}; copying: ${say(copying)}; ` +
      `far: ${formatSeconds(far.plain.wallMs)}, ${say(far.swapping)}; copying: ${say(far.copying)}`,
  );
}

export async function measureCluster(lab: Laboratory): Promise<readonly Finding[]> {
  const images = planSmallImages(IMAGES);
  return withRegistry(lab, async (source) => {
    await seed(source, images);
    const workloads = planWorkloads(source.host, images);
    lab.say(`cluster: rolling out ${WORKLOADS} Deployments of ${IMAGES} images`);
    const snapshot = await prepareSnapshot(lab, { workloads, sourceHost: source.host });
    const scene: Scene = { lab, source, images, workloads, snapshot };
    const pairs: Pair[] = [];
    for (let index = 0; index < Math.min(lab.pairs, MOST_PAIRS); index += 1) {
      const pair = await runPair(scene, index === 0);
      sayTimes(lab, pair);
      pairs.push(pair);
    }
    return describeCluster(pairs);
  });
}
