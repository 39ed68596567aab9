/** Part layers: images that have bases in common, against the plainest way to copy them. */
import type { RegistryRequest } from '../support/registry-log.ts';
import type { Registry } from '../support/registry.ts';
import type { SampleImage } from '../support/seed-images.ts';
import { type ControllerProcess, startControllerProcess } from './controller-process.ts';
import { countRequests, type Laboratory, seed, withLine, withRegistry } from './laboratory.ts';
import { type Finding, formatSeconds, median } from './report.ts';
import { hasSkopeo } from './plain-copies.ts';
import { copyAsController, copyAsSkopeo, copyPlainly, type Way } from './ways.ts';

const IMAGES = 60;
const MB = 1_000_000;
const BASES_MB = [24, 12, 40];
const MOST_TIMES = 0.6;
const MOST_TIMES_ON_A_LINE = 0.15;
const MOST_BYTES = 1.05;
/** 100 Mbit/s. */
const LINE_BYTES_PER_SECOND = 12_500_000;
/** Until then Node still compiles. */
const WARM_UP_RUNS = 2;

interface Contest {
  readonly lab: Laboratory;
  readonly controller: ControllerProcess;
  readonly source: Registry;
  readonly images: readonly SampleImage[];
}

interface Run {
  readonly wallMs: number;
  readonly source: readonly RegistryRequest[];
  readonly backup: readonly RegistryRequest[];
}

/** By turns on each of the bases. */
function planImages(): readonly SampleImage[] {
  const bases = BASES_MB.map((megabytes) => [
    { path: 'base', bytes: Buffer.alloc(megabytes * MB, megabytes) },
  ]);
  return Array.from({ length: IMAGES }, (_, index): SampleImage => {
    const content = `image on a base ${index}`;
    const own = [{ path: 'own', bytes: Buffer.alloc(MB, content) }];
    const layers = [bases[index % bases.length] ?? [], own];
    return {
      repository: `bench/based-${index}`,
      tag: '1.0',
      spec: { format: 'oci-manifest', content, layers },
    };
  });
}

/** One run into a backup that is empty before and gone afterwards. */
async function run(way: Way, contest: Contest, bytesPerSecond?: number): Promise<Run> {
  const { lab, source, images } = contest;
  return withRegistry(lab, (backup) =>
    withLine(source, bytesPerSecond, (sourceHost) =>
      withLine(backup, bytesPerSecond, async (backupHost) => {
        const counted = await countRequests({ source, backup }, () =>
          way(contest, { sourceHost, backupHost, images }),
        );
        return { wallMs: counted.result.wallMs, source: counted.source, backup: counted.backup };
      }),
    ),
  );
}

interface Pair {
  readonly plain: Run;
  readonly ours: Run;
}

async function runPair(contest: Contest, bytesPerSecond?: number): Promise<Pair> {
  const plain = await run(copyPlainly, contest, bytesPerSecond);
  const ours = await run(copyAsController, contest, bytesPerSecond);
  const times = [plain, ours].map(({ wallMs }) => formatSeconds(wallMs));
  const where = bytesPerSecond === undefined ? 'loopback' : '100 Mbit/s';
  contest.lab.say(`  ${where}: xargs ${times[0]}, controller ${times[1]}`);
  return { plain, ours };
}

/** Size of every blob that was downloaded, by digest. */
function listBlobs(requests: readonly RegistryRequest[]): ReadonlyMap<string, number> {
  const downloads = requests.filter(isDownload);
  return new Map(downloads.map(({ path, answerBytes }) => [path.split('/').at(-1) ?? '', answerBytes]));
}

function isDownload({ method, path, status }: RegistryRequest): boolean {
  return method === 'GET' && status === 200 && path.includes('/blobs/sha256:');
}

/** Digests of the blobs that a registry took, as often as it was sent them. */
function listUploads(requests: readonly RegistryRequest[]): readonly string[] {
  return requests.flatMap(({ method, path, status }) => {
    const digest = new URLSearchParams(path.split('?')[1]).get('digest');
    return method === 'PUT' && status === 201 && digest !== null ? [digest] : [];
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function describeBytes(pairs: readonly Pair[]): readonly Finding[] {
  const blobs = listBlobs(pairs.flatMap(({ plain }) => plain.source));
  const different = sum([...blobs.values()]);
  const fetched = ({ source }: Run): number =>
    sum(source.filter(isDownload).map(({ answerBytes }) => answerBytes));
  const sent = ({ backup }: Run): number =>
    sum(listUploads(backup).map((digest) => blobs.get(digest) ?? Number.NaN));
  const ways = [
    ['fetched from the source', fetched],
    ['sent to the backup', sent],
  ] as const;
  return ways.map(([what, read]): Finding => {
    const [ours, plain] = (['ours', 'plain'] as const).map((side) =>
      Math.max(...pairs.map((pair) => read(pair[side]))),
    );
    const ratio = (ours ?? Number.NaN) / different;
    return {
      part: 'layers',
      what: `bytes ${what}, at most, against those of the ${blobs.size} different blobs`,
      figure: `${ratio.toFixed(3)}x; ${toMb(ours)} : ${toMb(different)} (xargs: ${toMb(plain)})`,
      goal: `≤ ${MOST_BYTES}x`,
      isMet: ratio <= MOST_BYTES,
      isCount: true,
    };
  });
}

function toMb(bytes = Number.NaN): string {
  return `${(bytes / MB).toFixed(0)} MB`;
}

function describeRequests(pairs: readonly Pair[]): Finding {
  const perImage = (read: (pair: Pair) => readonly RegistryRequest[]): string =>
    (median(pairs.map((pair) => read(pair).length)) / IMAGES).toFixed(1).replace('.0', '');
  const source = `${perImage(({ ours }) => ours.source)} : ${perImage(({ plain }) => plain.source)}`;
  const backup = `${perImage(({ ours }) => ours.backup)} : ${perImage(({ plain }) => plain.backup)}`;
  return {
    part: 'layers',
    what: 'requests per image against xargs -P4 regctl',
    figure: `source ${source}; backup ${backup}`,
  };
}

function describeTimes(where: string, pairs: readonly Pair[], most: number): Finding {
  const ratios = pairs.map(({ plain, ours }) => ours.wallMs / plain.wallMs);
  const ratio = median(ratios);
  const [ours, plain] = (['ours', 'plain'] as const).map((side) =>
    formatSeconds(median(pairs.map((pair) => pair[side].wallMs))),
  );
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return {
    part: 'layers',
    what: `${IMAGES} images on ${BASES_MB.length} bases, ${where}: time against xargs -P4 regctl`,
    figure: `${ratio.toFixed(2)}x (${pairs.length === 1 ? 'one pair' : range}); ${ours} : ${plain}`,
    goal: `≤ ${most}x`,
    isMet: ratio <= most,
  };
}

/** Told where it is installed: what one that knows layers, and nothing of who else copies, makes of it. */
async function describeSkopeo(contest: Contest): Promise<readonly Finding[]> {
  if (!(await hasSkopeo())) {
    contest.lab.say('  skopeo is not installed, and left out');
    return [];
  }
  const near = await run(copyAsSkopeo, contest);
  const far = await run(copyAsSkopeo, contest, LINE_BYTES_PER_SECOND);
  const figures = [near, far].map(
    ({ wallMs, backup }) => `${formatSeconds(wallMs)}, ${listUploads(backup).length} blobs sent`,
  );
  return [
    {
      part: 'layers',
      what: 'one run of xargs -P4 skopeo copy: plain loopback : 100 Mbit/s to each registry',
      figure: figures.join(' : '),
    },
  ];
}

export async function measureLayers(lab: Laboratory): Promise<readonly Finding[]> {
  const images = planImages();
  const controller = await startControllerProcess(lab.processes);
  try {
    return await withRegistry(lab, async (source) => {
      await seed(source, images);
      lab.say(`layers: ${IMAGES} images on bases of ${BASES_MB.join(', ')} MB, with 1 MB of its own each`);
      const contest: Contest = { lab, controller, source, images };
      for (let index = 0; index < WARM_UP_RUNS; index += 1) {
        await run(copyAsController, contest);
      }
      const pairs: Pair[] = [];
      for (let index = 0; index < lab.pairs; index += 1) {
        pairs.push(await runPair(contest));
      }
      // The plain way takes two minutes on it.
      const slow = await runPair(contest, LINE_BYTES_PER_SECOND);
      return [
        describeTimes('plain loopback', pairs, MOST_TIMES),
        describeTimes('100 Mbit/s to each registry', [slow], MOST_TIMES_ON_A_LINE),
        ...describeBytes([...pairs, slow]),
        describeRequests(pairs),
        ...(await describeSkopeo(contest)),
      ];
    });
  } finally {
    await controller.close();
  }
}
