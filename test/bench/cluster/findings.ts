import type { AuditLine } from '../../support/audit.ts';
import { type Finding, formatSeconds, median } from '../report.ts';
import type { ControllerRun, PlainCopies, PlainRollouts } from './contestants.ts';
import { type CpuShares, addShares } from './cpu-shares.ts';
import { type RolloutTime, WORKLOADS } from './workloads.ts';

export const IMAGES = 100;
export const DELAY_MS = 20;
export const MANY_ROLLOUTS = 500;
/** MAX_CONCURRENT_ROLLOUTS, unless set. */
const DEFAULT_ROLLOUTS = 5;
const MOST = { nearCopies: 1.5, farCopies: 1.15, rollouts: 1.15, apiServerCpu: 1.5 };

/** One run of each, each in a new cluster. */
export interface Pair {
  readonly plain: { readonly copies: PlainCopies; readonly rollouts: PlainRollouts };
  /** With as many rollouts at a time as there are workloads. */
  readonly many: ControllerRun;
  /** With the default. */
  readonly few: ControllerRun;
  /** Without swaps. */
  readonly copying: ControllerRun;
  /** With a delay of every request to a registry. */
  readonly far: {
    readonly plain: PlainCopies;
    readonly swapping: ControllerRun;
    readonly copying: ControllerRun;
  };
}

interface Comparison {
  readonly ours: number;
  readonly plain: number;
}

/** `1.20x (1.10 to 1.31); 12.00 s : 10.00 s`. */
function formatComparison(all: readonly Comparison[]): string {
  const ratios = all.map(({ ours, plain }) => ours / plain);
  const [ours, plain] = (['ours', 'plain'] as const).map((side) =>
    formatSeconds(median(all.map((one) => one[side]))),
  );
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return `${median(ratios).toFixed(2)}x (${range}); ${ours} : ${plain}`;
}

function compare(what: string, all: readonly Comparison[], most: number): Finding {
  return {
    part: 'cluster',
    what,
    figure: formatComparison(all),
    goal: `≤ ${most}x`,
    isMet: median(all.map(({ ours, plain }) => ours / plain)) <= most,
  };
}

function describeCopies(pairs: readonly Pair[]): readonly Finding[] {
  const what = `${IMAGES} images of ${WORKLOADS} Deployments: first request until the last copy is proven, against xargs -P4 regctl`;
  const near = (name: 'few' | 'copying') =>
    pairs.map((pair) => ({ ours: pair[name].copiesMs, plain: pair.plain.copies.wallMs }));
  const far = (name: 'swapping' | 'copying') =>
    pairs.map((pair) => ({ ours: pair.far[name].copiesMs, plain: pair.far.plain.wallMs }));
  return [
    compare(`${what}, plain loopback, MODE=copy`, near('copying'), MOST.nearCopies),
    compare('the same while workloads are swapped, as by default', near('few'), MOST.nearCopies),
    compare(`${DELAY_MS} ms more per request, MODE=copy`, far('copying'), MOST.farCopies),
    compare('the same while workloads are swapped', far('swapping'), MOST.farCopies),
    describeCpu(
      'CPU time until the last copy is proven, plain loopback: MODE=copy : as by default : xargs -P4 regctl',
      [
        pairs.map(({ copying }) => copying.copiesCpuMs),
        pairs.map(({ few }) => few.copiesCpuMs),
        pairs.map(({ plain }) => plain.copies.cpuMs),
      ],
    ),
  ];
}

const SHARES = {
  apiServer: 'kube-apiserver',
  controlPlane: 'etcd and controllers',
  registries: 'registries',
  engines: 'regctl',
  controller: 'controller',
} as const;

/** Of several contestants; of each, the median of its runs. */
function describeCpu(what: string, contestants: readonly (readonly CpuShares[])[]): Finding {
  const names = Object.keys(SHARES) as readonly (keyof CpuShares)[];
  const figures = names.map((name) => {
    const times = contestants.map((runs) => formatSeconds(median(runs.map((run) => run[name]))));
    return `${SHARES[name]} ${times.join(' : ')}`;
  });
  return { part: 'cluster', what, figure: figures.join('; ') };
}

function describeRollouts(pairs: readonly Pair[]): readonly Finding[] {
  const rolledOut = ({ rolledOutMs = Number.NaN }: ControllerRun): number => rolledOutMs;
  const afterCopies = median(pairs.map(({ many }) => rolledOut(many) - many.copiesMs));
  const all = compare(
    `MAX_CONCURRENT_ROLLOUTS=${MANY_ROLLOUTS}, empty backup: first request until all are rolled out, against ${WORKLOADS} patches by a plain client`,
    pairs.map(({ many, plain }) => ({ ours: rolledOut(many), plain: plain.rollouts.wallMs })),
    MOST.rollouts,
  );
  return [
    { ...all, figure: `${all.figure}; ${formatSeconds(afterCopies)} of it after the last copy` },
    {
      part: 'cluster',
      what: 'the same, against xargs -P4 regctl and the plain client, one after the other',
      figure: formatComparison(
        pairs.map(({ many, plain }) => ({
          ours: rolledOut(many),
          plain: plain.copies.wallMs + plain.rollouts.wallMs,
        })),
      ),
    },
    describeCpu('CPU time until all are rolled out: the controller : xargs and the plain client', [
      pairs.map(({ many }) => many.cpuMs),
      pairs.map(({ plain }) => addShares(plain.copies.cpuMs, plain.rollouts.cpuMs)),
    ]),
  ];
}

/** What the time went by with: how long one rollout takes, and how many of the places were taken. */
function describeWait(pairs: readonly Pair[]): readonly Finding[] {
  return pairs.flatMap(({ few: { rolledOutMs, copiesMs, times } }) => {
    if (rolledOutMs === undefined) {
      return [];
    }
    const { oneMs, inFlight } = measureWait(times);
    const figure =
      `${formatSeconds(rolledOutMs)}, copies ${formatSeconds(copiesMs)}; ` +
      `${inFlight.toFixed(1)} rollouts at a time, ${formatSeconds(oneMs)} each`;
    const what = `the default of ${DEFAULT_ROLLOUTS}, empty backup: first request until all are rolled out; what the wait is for`;
    return [{ part: 'cluster', what, figure } as const];
  });
}

function measureWait(times: readonly RolloutTime[]): { readonly oneMs: number; readonly inFlight: number } {
  const durations = times.map(({ patchedAtMs, doneAtMs }) => doneAtMs - patchedAtMs);
  const firstMs = Math.min(...times.map(({ patchedAtMs }) => patchedAtMs));
  const lastMs = Math.max(...times.map(({ doneAtMs }) => doneAtMs));
  const sum = durations.reduce((total, ms) => total + ms, 0);
  return { oneMs: median(durations), inFlight: sum / (lastMs - firstMs) };
}

interface Judged {
  readonly what: string;
  readonly most: number;
  readonly matches: (line: AuditLine) => boolean;
}

/** Refused, because the status of the workload had changed since it was read: it is read and tried again. */
const isConflict = ({ responseStatus }: AuditLine): boolean => responseStatus?.code === 409;
const isDryRun = ({ requestURI }: AuditLine): boolean => requestURI.includes('dryRun=');
const isOf = ({ verb, objectRef }: AuditLine, verbs: readonly string[], resource: string): boolean =>
  verbs.includes(verb) && objectRef?.resource === resource;
/** Of one namespace: a list of them all is what a cache begins with, and asked once. */
const isNamespaced = ({ objectRef }: AuditLine): boolean => objectRef?.namespace !== undefined;

const JUDGED: readonly Judged[] = [
  {
    what: 'dry runs of a patch',
    most: 1,
    matches: (line) => isOf(line, ['patch'], 'deployments') && isDryRun(line),
  },
  {
    what: 'dry runs of a pod',
    most: 1,
    matches: (line) => isOf(line, ['create'], 'pods') && isDryRun(line),
  },
  { what: 'patches', most: 1, matches: (line) => isOf(line, ['patch'], 'deployments') && !isDryRun(line) },
  { what: 'events', most: 1, matches: (line) => isOf(line, ['create', 'patch'], 'events') },
  // One more where the watch of pods is provably behind its workload.
  {
    what: 'lists of pods in a namespace: once before a swap, once before it counts as a success',
    most: 2.1,
    matches: (line) => isOf(line, ['list'], 'pods') && isNamespaced(line),
  },
  {
    what: 'lists of ReplicaSets in a namespace',
    most: 0,
    matches: (line) => isOf(line, ['list'], 'replicasets') && isNamespaced(line),
  },
];

/** Runs in which every workload was swapped, by how many may roll out at a time: the most first. */
function listCompleteRuns(pairs: readonly Pair[]): readonly (readonly ControllerRun[])[] {
  const few = pairs.flatMap((pair) => (pair.few.rolledOutMs === undefined ? [] : [pair.few]));
  return [pairs.map(({ many }) => many), few];
}

function countPerWorkload(run: ControllerRun, matches: Judged['matches']): number {
  return run.requests.filter((line) => matches(line) && !isConflict(line)).length / WORKLOADS;
}

function describeRequests(pairs: readonly Pair[]): readonly Finding[] {
  const runs = listCompleteRuns(pairs);
  const judged = JUDGED.map(({ what, most, matches }): Finding => {
    const counts = runs.map((same) => Math.max(...same.map((run) => countPerWorkload(run, matches))));
    return {
      part: 'cluster',
      what: `API requests per workload, ${MANY_ROLLOUTS} : ${DEFAULT_ROLLOUTS} rollouts at a time: ${what}`,
      figure: counts.map((count) => count.toFixed(2)).join(' : '),
      goal: most === 0 ? '0' : `≤ ${most}`,
      isMet: counts.every((count) => count <= most),
      isCount: true,
    };
  });
  return [...judged, describeOtherRequests(runs[0]?.[0])];
}

/** In one run, not per workload: these are not to grow with the workloads. */
function describeOtherRequests(run: ControllerRun | undefined): Finding {
  const others = (run?.requests ?? []).filter(
    (line) => isConflict(line) || !JUDGED.some(({ matches }) => matches(line)),
  );
  const counts = new Map<string, number>();
  for (const line of others) {
    const name = `${line.verb} ${line.objectRef?.resource ?? ''}${isConflict(line) ? ' (conflict)' : ''}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const listed = [...counts].toSorted(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`);
  return {
    part: 'cluster',
    what: `all other API requests, ${MANY_ROLLOUTS} rollouts at a time`,
    figure: listed.join(', '),
  };
}

function describeApiServerCpu(pairs: readonly Pair[]): Finding {
  return compare(
    `CPU time of kube-apiserver, ${MANY_ROLLOUTS} rollouts at a time, against the plain client`,
    pairs.map(({ many, plain }) => ({
      ours: many.cpuMs.apiServer,
      plain: plain.rollouts.cpuMs.apiServer,
    })),
    MOST.apiServerCpu,
  );
}

export function describeCluster(pairs: readonly Pair[]): readonly Finding[] {
  return [
    ...describeCopies(pairs),
    ...describeRollouts(pairs),
    ...describeWait(pairs),
    ...describeRequests(pairs),
    describeApiServerCpu(pairs),
  ];
}
