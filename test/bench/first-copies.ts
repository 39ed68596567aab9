/** Part a: images that the backup does not have, against the plainest way to copy them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Registry } from '../support/registry.ts';
import type { SampleImage } from '../support/seed-images.ts';
import { type ControllerProcess, startControllerProcess } from './controller-process.ts';
import {
  countRequests,
  createOrder,
  type Laboratory,
  planSmallImages,
  type Route,
  seed,
  withDelay,
  withRegistry,
} from './laboratory.ts';
import { type Finding, formatSeconds, median } from './report.ts';

const IMAGES = 100;
const DELAY_MS = 20;
const MOST_TIMES = 1.1;

interface Run {
  readonly wallMs: number;
  readonly sourceRequests: number;
  readonly backupRequests: number;
  /** Of the controller; undefined for the baseline. */
  readonly cpuMs?: number;
}

/** Both ways to copy, on the same registries. */
interface Contest {
  readonly lab: Laboratory;
  readonly controller: ControllerProcess;
  readonly source: Registry;
  readonly images: readonly SampleImage[];
}

type Way = (contest: Contest, route: Route) => Promise<{ readonly wallMs: number; readonly cpuMs?: number }>;

/** By tag, to the tag of the same name, without a look before or after. */
const copyPlainly: Way = async ({ lab }, { sourceHost, backupHost, images }) => {
  const hosts = Object.fromEntries([sourceHost, backupHost].map((host) => [host, { tls: 'disabled' }]));
  const configFile = join(lab.processes.folder, 'regctl.json');
  await writeFile(
    configFile,
    JSON.stringify({ version: 1, incDockerCred: false, incDockerCert: false, hosts }),
  );
  const pairs = images.map(({ repository, tag }) =>
    [sourceHost, `${backupHost}/backup`].map((place) => `${place}/${repository}:${tag}`).join(' '),
  );
  const startedAtMs = performance.now();
  const xargs = spawn('xargs', ['-P4', '-L1', lab.tools.regctl, 'image', 'copy'], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], REGCTL_CONFIG: configFile },
  });
  xargs.stdin.end(`${pairs.join('\n')}\n`);
  const [exitCode] = await once(xargs, 'exit');
  if (exitCode !== 0) {
    throw new Error(`xargs ended with exit code ${exitCode}`);
  }
  return { wallMs: performance.now() - startedAtMs };
};

const copyAsController: Way = async ({ lab, controller }, route) =>
  controller.backUp(createOrder(lab, route));

/** One run into a backup that is empty before and gone afterwards. */
async function run(way: Way, contest: Contest, delayMs: number): Promise<Run> {
  const { lab, source, images } = contest;
  return withRegistry(lab, (backup) =>
    withDelay(source, delayMs, (sourceHost) =>
      withDelay(backup, delayMs, async (backupHost) => {
        const counted = await countRequests({ source, backup }, () =>
          way(contest, { sourceHost, backupHost, images }),
        );
        return {
          ...counted.result,
          sourceRequests: counted.source.length,
          backupRequests: counted.backup.length,
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
    goal: `≤ ${MOST_TIMES}x`,
    isMet: ratio <= MOST_TIMES,
  };
}

function describeRequests(pairs: readonly Pair[]): Finding {
  const perImage = (read: (pair: Pair) => number): string =>
    (median(pairs.map(read)) / IMAGES).toFixed(1).replace('.0', '');
  const source = `${perImage(({ ours }) => ours.sourceRequests)} : ${perImage(({ plain }) => plain.sourceRequests)}`;
  const backup = `${perImage(({ ours }) => ours.backupRequests)} : ${perImage(({ plain }) => plain.backupRequests)}`;
  return {
    part: 'a',
    what: 'requests per image against xargs -P4 regctl',
    figure: `source ${source}; backup ${backup}`,
  };
}

function describeCpu(pairs: readonly Pair[]): Finding {
  const cpuMs = median(pairs.map(({ ours }) => ours.cpuMs ?? 0));
  return {
    part: 'a',
    what: 'CPU time of the controller itself, per image',
    figure: `${(cpuMs / IMAGES).toFixed(1)} ms`,
  };
}

export async function measureFirstCopies(lab: Laboratory): Promise<readonly Finding[]> {
  const images = planSmallImages(IMAGES);
  const controller = startControllerProcess();
  try {
    return await withRegistry(lab, async (source) => {
      const sizeBytes = await seed(source, images);
      lab.say(
        `a: ${IMAGES} images of ${(sizeBytes / IMAGES / 1e6).toFixed(2)} MB, half of them an index of 2 platforms`,
      );
      const contest: Contest = { lab, controller, source, images };
      await run(copyPlainly, contest, 0);
      await run(copyAsController, contest, 0);
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
