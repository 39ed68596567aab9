/** Part cluster: a whole cluster, from an empty backup until every workload runs from it. */
import type { Workload } from '../../support/objects.ts';
import type { Registry } from '../../support/registry.ts';
import type { SampleImage } from '../../support/seed-images.ts';
import { startDelayedRegistry } from '../delayed-registry.ts';
import { type Laboratory, planSmallImages, seed, withDelay, withRegistry } from '../laboratory.ts';
import { copyWithXargs } from '../plain-copies.ts';
import { type Finding, formatSeconds } from '../report.ts';
import { prepareSnapshot, startBenchCluster } from './bench-cluster.ts';
import {
  type ControllerRun,
  type PlainRollouts,
  rollOutPlainly,
  runController,
  type Start,
} from './contestants.ts';
import { DELAY_MS, describeCluster, IMAGES, MANY_ROLLOUTS, type Pair } from './findings.ts';
import { planWorkloads, WORKLOADS } from './workloads.ts';

interface Scene {
  readonly lab: Laboratory;
  readonly source: Registry;
  readonly images: readonly SampleImage[];
  readonly workloads: readonly Workload[];
  readonly snapshot: Awaited<ReturnType<typeof prepareSnapshot>>;
}

/** A new cluster with the workloads, and an empty backup, which is asked directly or from afar. */
async function begin<T>(
  { lab, source, images, workloads, snapshot }: Scene,
  delayMs: number,
  work: (start: Start) => Promise<T>,
): Promise<T> {
  const cluster = await startBenchCluster(lab, snapshot);
  try {
    return await withRegistry(lab, (backup) =>
      withDelay(backup, delayMs, (backupHost) =>
        work({ cluster, workloads, images, sourceHost: source.host, backupHost }),
      ),
    );
  } finally {
    await cluster.stop();
  }
}

/** The workloads name the source by its port, so behind that port another one takes its place. */
async function withFarSource<T>({ lab, source, images }: Scene, work: () => Promise<T>): Promise<T> {
  return withRegistry(lab, async (other) => {
    await seed(other, images);
    await source.stop();
    const delayed = await startDelayedRegistry(other, DELAY_MS, Number(new URL(source.url).port));
    try {
      return await work();
    } finally {
      await delayed.close();
      await source.start();
    }
  });
}

interface PlainRun {
  readonly copiesMs: number;
  readonly rollouts: PlainRollouts;
}

async function runPlainly(scene: Scene): Promise<PlainRun> {
  return begin(scene, 0, async (start) => {
    const { wallMs } = await copyWithXargs(scene.lab, start);
    return { copiesMs: wallMs, rollouts: await rollOutPlainly(start) };
  });
}

async function runFar(
  scene: Scene,
): Promise<{ readonly plainMs: number; readonly controller: ControllerRun }> {
  return withFarSource(scene, async () => {
    const { lab, source, images } = scene;
    const plain = await withRegistry(lab, (backup) =>
      withDelay(backup, DELAY_MS, (backupHost) =>
        copyWithXargs(lab, { sourceHost: source.host, backupHost, images }),
      ),
    );
    const controller = await begin(scene, DELAY_MS, (start) =>
      runController(start, { settings: {}, until: 'copied' }),
    );
    return { plainMs: plain.wallMs, controller };
  });
}

function sayTimes(lab: Laboratory, { plain, many, few, far }: Pair): void {
  const rolledOut = ({ rolledOutMs }: ControllerRun): string =>
    rolledOutMs === undefined ? '-' : formatSeconds(rolledOutMs);
  lab.say(
    `  plain: ${formatSeconds(plain.copiesMs)}, ${formatSeconds(plain.rollouts.wallMs)}; ` +
      `controller, ${MANY_ROLLOUTS}: ${formatSeconds(many.copiesMs)}, ${rolledOut(many)}; ` +
      `default: ${formatSeconds(few.copiesMs)}, ${rolledOut(few)}; ` +
      `far: ${formatSeconds(far.plainMs)}, ${formatSeconds(far.controller.copiesMs)}`,
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
    for (let index = 0; index < lab.pairs; index += 1) {
      const plain = await runPlainly(scene);
      const many = await begin(scene, 0, (start) =>
        runController(start, {
          settings: { MAX_CONCURRENT_ROLLOUTS: String(MANY_ROLLOUTS) },
          until: 'rolled out',
        }),
      );
      // Its rollouts are told of and not compared: once is enough.
      const until = index === 0 ? 'rolled out' : 'copied';
      const few = await begin(scene, 0, (start) => runController(start, { settings: {}, until }));
      const pair: Pair = { plain, many, few, far: await runFar(scene) };
      sayTimes(lab, pair);
      pairs.push(pair);
    }
    return describeCluster(pairs);
  });
}
