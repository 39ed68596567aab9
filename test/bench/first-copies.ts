/** Part a: images that the backup does not have, against the plainest way to copy them. */
import type { Registry } from '../support/registry.ts';
import type { SampleImage } from '../support/seed-images.ts';
import { type ControllerProcess, startControllerProcess } from './controller-process.ts';
import { readCpuTime } from './cpu-time.ts';
import {
  countRequests,
  type Laboratory,
  planSmallImages,
  seed,
  withDelay,
  withRegistry,
} from './laboratory.ts';
import { type Finding, formatSeconds, median } from './report.ts';
import { copyAsController, copyPlainly, type Way } from './ways.ts';

const IMAGES = 100;
const DELAY_MS = 20;
const MOST_TIMES = 1.1;
/** A look before and a proof after: at the source the digest and the manifests, at the backup twice the copy, and its plain tag. */
const MOST_MORE_REQUESTS = 3;
/** A controller runs for weeks: until then Node still compiles, which takes half as much CPU time again. */
const WARM_UP_RUNS = 4;

interface Run {
  readonly wallMs: number;
  readonly sourceRequests: number;
  readonly backupRequests: number;
  readonly cpuMs: CpuShares;
}

/** Who used how much CPU time; the helper that delays is not among them. */
interface CpuShares {
  readonly controller: number;
  readonly engines: number;
  readonly registries: number;
}

/** Both ways to copy, on the same registries. */
interface Contest {
  readonly lab: Laboratory;
  readonly controller: ControllerProcess;
  readonly source: Registry;
  readonly images: readonly SampleImage[];
}

/** Of all that takes part so far. The children of this process that end meanwhile are those of xargs. */
async function readCpuShares({ controller, source }: Contest, backup: Registry): Promise<CpuShares> {
  const [ours, theirs, ...registries] = await Promise.all(
    [controller.pid, process.pid, source.program.pid, backup.program.pid].map(readCpuTime),
  );
  return {
    controller: ours?.ownMs ?? 0,
    engines: (ours?.childrenMs ?? 0) + (theirs?.childrenMs ?? 0),
    registries: registries.reduce((sum, { ownMs }) => sum + ownMs, 0),
  };
}

/** One run into a backup that is empty before and gone afterwards. */
async function run(way: Way, contest: Contest, delayMs: number): Promise<Run> {
  const { lab, source, images } = contest;
  return withRegistry(lab, (backup) =>
    withDelay(source, delayMs, (sourceHost) =>
      withDelay(backup, delayMs, async (backupHost) => {
        const before = await readCpuShares(contest, backup);
        const counted = await countRequests({ source, backup }, () =>
          way(contest, { sourceHost, backupHost, images }),
        );
        const after = await readCpuShares(contest, backup);
        return {
          wallMs: counted.result.wallMs,
          sourceRequests: counted.source.length,
          backupRequests: counted.backup.length,
          cpuMs: {
            controller: after.controller - before.controller,
            engines: after.engines - before.engines,
            registries: after.registries - before.registries,
          },
        };
      }),
    ),
  );
}

interface Pair {
  readonly plain: Run;
  readonly ours: Run;
}

async function runPairs(contest: Contest, delayMs: number): Promise<readonly Pair[]> {
  const pairs: Pair[] = [];
  for (let index = 0; index < contest.lab.pairs; index += 1) {
    const plain = await run(copyPlainly, contest, delayMs);
    const ours = await run(copyAsController, contest, delayMs);
    pairs.push({ plain, ours });
    const times = [plain, ours].map(({ wallMs }) => formatSeconds(wallMs));
    contest.lab.say(`  ${delayMs} ms: xargs ${times[0]}, controller ${times[1]}`);
  }
  return pairs;
}

function describeTimes(pairs: readonly Pair[], delayMs: number): Finding {
  const ratios = pairs.map(({ plain, ours }) => ours.wallMs / plain.wallMs);
  const ratio = median(ratios);
  const [ours, plain] = (['ours', 'plain'] as const).map((side) =>
    formatSeconds(median(pairs.map((pair) => pair[side].wallMs))),
  );
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return {
    part: 'a',
    what: `${IMAGES} first copies, ${delayMs === 0 ? 'plain loopback' : `${delayMs} ms more per request`}: time against xargs -P4 regctl`,
    figure: `${ratio.toFixed(2)}x (${range}); ${ours} : ${plain}`,
    // Where nobody waits for a network, looking a copy up and proving it costs what its requests cost.
    ...(delayMs > 0 && { goal: `≤ ${MOST_TIMES}x`, isMet: ratio <= MOST_TIMES }),
  };
}

function describeRequests(pairs: readonly Pair[]): Finding {
  const perImage = (read: (run: Run) => number): readonly [number, number] => {
    const [ours, plain] = (['ours', 'plain'] as const).map(
      (side) => median(pairs.map((pair) => read(pair[side]))) / IMAGES,
    );
    return [ours ?? Number.NaN, plain ?? Number.NaN];
  };
  const both = [
    perImage(({ sourceRequests }) => sourceRequests),
    perImage(({ backupRequests }) => backupRequests),
  ];
  const [source, backup] = both.map((counts) =>
    counts.map((count) => count.toFixed(1).replace('.0', '')).join(' : '),
  );
  return {
    part: 'a',
    what: 'requests per image against xargs -P4 regctl',
    figure: `source ${source}; backup ${backup}`,
    goal: `≤ ${MOST_MORE_REQUESTS} more each`,
    isMet: both.every(([ours, plain]) => ours - plain <= MOST_MORE_REQUESTS),
    isCount: true,
  };
}

/** Other processes of the machine disturb this much less than the time. */
function describeCpu(pairs: readonly Pair[]): Finding {
  const read = (side: keyof Pair, share: keyof CpuShares): number =>
    median(pairs.map((pair) => pair[side].cpuMs[share])) / IMAGES;
  const total = ({ cpuMs }: Run): number => cpuMs.controller + cpuMs.engines + cpuMs.registries;
  const ratio = median(pairs.map(({ plain, ours }) => total(ours) / total(plain)));
  const compare = (share: keyof CpuShares): string =>
    `${read('ours', share).toFixed(0)} : ${read('plain', share).toFixed(0)}`;
  const shares = `registries ${compare('registries')}, regctl ${compare('engines')}, controller ${read('ours', 'controller').toFixed(0)}`;
  return {
    part: 'a',
    what: 'CPU time against xargs -P4 regctl, plain loopback; ms per image',
    figure: `${ratio.toFixed(2)}x; ${shares}`,
  };
}

export async function measureFirstCopies(lab: Laboratory): Promise<readonly Finding[]> {
  const images = planSmallImages(IMAGES);
  const controller = await startControllerProcess(lab.processes);
  try {
    return await withRegistry(lab, async (source) => {
      const sizeBytes = await seed(source, images);
      lab.say(
        `a: ${IMAGES} images of ${(sizeBytes / IMAGES / 1e6).toFixed(2)} MB, half of them an index of 2 platforms`,
      );
      const contest: Contest = { lab, controller, source, images };
      await run(copyPlainly, contest, 0);
      for (let index = 0; index < WARM_UP_RUNS; index += 1) {
        await run(copyAsController, contest, 0);
      }
      const near = await runPairs(contest, 0);
      const far = await runPairs(contest, DELAY_MS);
      return [
        describeTimes(near, 0),
        describeTimes(far, DELAY_MS),
        describeRequests(near),
        describeCpu(near),
      ];
    });
  } finally {
    await controller.close();
  }
}
