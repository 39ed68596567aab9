/** Part scale: large clusters, on a real API server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startApiServer, type ApiServer } from '../../support/control-plane.ts';
import { installController, type InstallDeps } from '../../support/controller.ts';
import { readCpuTime } from '../cpu-time.ts';
import type { Laboratory } from '../laboratory.ts';
import { type Finding, formatMib, formatSeconds, median } from '../report.ts';
import { type Bundle, buildBundle, readResident, startBundle, waitUntilIdle } from './bundle.ts';
import { type ClusterOfMany, createClusterOfMany } from './cluster-of-many.ts';
import { measureCurl, measureList, type ListMeasurement } from './lists.ts';
import { measurePlan } from './plan-time.ts';
import { measureQueue } from './queue-cost.ts';
import { REPLICAS } from './swapped-objects.ts';

const MIB = 1024 * 1024;
const SIZES = [100, 1_000, 10_000] as const;
const WATCH_EVENTS = 1_000;
const QUEUE_KEYS = 10_000;
const MOST = {
  listBytes: 130 * MIB,
  /** In all, of the largest cluster. */
  peakBytes: 200 * MIB,
  blockMs: 100,
  startCpuMs: 300,
  startBytes: 100 * MIB,
  planMs: 20_000,
};
/** A plan that takes longer is ended. */
const PLAN_DEADLINE_MS = 90_000;
/** How long nothing happens, to see what the controller asks the API server all the same. */
const QUIET_MS = 60_000;

interface Scale {
  readonly lab: Laboratory;
  readonly deps: InstallDeps;
  readonly apiServer: ApiServer;
  readonly many: ClusterOfMany;
  readonly bundle: Bundle;
}

export async function measureScale(lab: Laboratory): Promise<readonly Finding[]> {
  const { tools, processes } = lab;
  const apiServer = await startApiServer({ tools, processes });
  const { kube, connection, kubeconfigFile } = apiServer;
  const deps = { tools, processes, kube, connection, kubeconfigFile };
  const many = await createClusterOfMany(apiServer);
  await installController(deps, many.settings);
  const scale: Scale = { lab, deps, apiServer, many, bundle: await buildBundle(deps) };
  const findings: Finding[] = [await measureStart(scale)].flat();
  for (const size of SIZES) {
    await many.growTo(size);
    lab.say(`scale: ${size} Deployments with ${REPLICAS} pods each are there`);
    findings.push(...(await measureController(scale, size)));
  }
  findings.push(...(await measureLists(scale)), await describeQueue(), await describePlan(scale));
  await many.close();
  await apiServer.stop();
  return findings;
}

function limit(
  what: string,
  { value, most }: { value: number; most: number },
  format: (value: number) => string,
) {
  return {
    part: 'scale',
    what,
    figure: format(value),
    goal: `≤ ${format(most)}`,
    isMet: value <= most,
  } as const;
}

/** Without a single workload: the process itself. */
async function measureStart({ lab, deps, bundle }: Scale): Promise<readonly Finding[]> {
  const starts = [];
  for (let run = 0; run < lab.pairs; run += 1) {
    const running = await startBundle(deps, bundle);
    await running.program.stop();
    starts.push(running);
  }
  return [
    limit(
      'bundle in an empty cluster: CPU time until it is ready',
      { value: median(starts.map(({ startCpuMs }) => startCpuMs)), most: MOST.startCpuMs },
      formatSeconds,
    ),
    limit(
      'bundle in an empty cluster: RSS when it is ready',
      { value: median(starts.map(({ startBytes }) => startBytes)), most: MOST.startBytes },
      formatMib,
    ),
  ];
}

/** What README says about sizes: all workloads are swapped, and the controller has just been restarted. */
async function measureController(
  { lab, deps, apiServer, many, bundle }: Scale,
  size: number,
): Promise<readonly Finding[]> {
  const lookupsBefore = many.lookups;
  const running = await startBundle(deps, bundle);
  const startedAtMs = performance.now() - running.startWallMs;
  await waitUntilIdle(running, size);
  const idleMs = performance.now() - startedAtMs;
  const { ownMs } = await readCpuTime(running.program.pid);
  const longestBlockMs = await running.readLongestBlockMs();
  const isLargest = size === SIZES.at(-1);
  const requests = isLargest ? await countQuietRequests(apiServer) : undefined;
  const quiet = await readCpuTime(running.program.pid);
  const { nowBytes, peakBytes } = await readResident(running.program.pid);
  await running.program.stop();
  lab.say(`scale: ${size}: ${formatMib(peakBytes)} at most`);
  const memory = isLargest
    ? ({ value: peakBytes, most: MOST.peakBytes } as const)
    : ({ value: running.startPeakBytes, most: MOST.listBytes } as const);
  return [
    {
      ...limit(
        `controller, restarted with ${size} swapped Deployments of ${REPLICAS} pods: RSS at most while listing, in all, afterwards`,
        memory,
        formatMib,
      ),
      figure: [running.startPeakBytes, peakBytes, nowBytes].map(formatMib).join(', '),
      goal: `${isLargest ? 'in all' : 'listing'} ≤ ${formatMib(memory.most)}`,
    },
    limit(
      `controller, ${size}: longest block of the event loop until all are looked at, in CPU time`,
      { value: longestBlockMs, most: MOST.blockMs },
      formatSeconds,
    ),
    {
      part: 'scale',
      what: `controller, ${size}: until ready, until all are looked at; CPU time; HEAD at the backup`,
      figure: `${formatSeconds(running.startWallMs)}, ${formatSeconds(idleMs)}; ${formatSeconds(ownMs)}; ${many.lookups - lookupsBefore}`,
    },
    ...(requests === undefined ? [] : [quietFinding(requests, quiet.ownMs - ownMs)]),
  ];
}

function quietFinding(requests: readonly string[], cpuMs: number): Finding {
  const others = requests.filter((request) => !/^update leases$/.test(request));
  const named = others.length === 0 ? '' : `: ${[...new Set(others)].join(', ')}`;
  return {
    part: 'scale',
    what: `controller, ${SIZES.at(-1)}, a quiet minute: lease renewals, other requests, CPU time`,
    figure: `${requests.length - others.length}, ${others.length}${named}, ${formatSeconds(cpuMs)}`,
    goal: '0 others',
    // A watch ends every five to ten minutes, and one that is opened again is not an extra request.
    isMet: others.every((request) => request.startsWith('watch ')),
    isCount: true,
  };
}

/** `<verb> <resource>` of every request that a ServiceAccount has made in a quiet minute. */
async function countQuietRequests({ auditLogFile }: ApiServer): Promise<readonly string[]> {
  const read = async (): Promise<readonly string[]> =>
    (await readFile(auditLogFile, 'utf8')).split('\n').filter((line) => line !== '');
  const before = await read();
  await sleep(QUIET_MS);
  return (await read()).slice(before.length).map((line) => {
    const { verb, objectRef } = JSON.parse(line) as { verb: string; objectRef?: { resource?: string } };
    return `${verb} ${objectRef?.resource ?? ''}`;
  });
}

/** The list alone, beside curl and beside the informer of the client library. */
async function measureLists({ lab, deps, apiServer, many }: Scale): Promise<readonly Finding[]> {
  const authorityFile = join(deps.processes.folder, 'control-plane/ca.crt');
  const { connection } = apiServer;
  await measureCurl(connection, authorityFile);
  const runs: { reflector: ListMeasurement; informer: ListMeasurement; curlMs: number; bytes: number }[] = [];
  for (let run = 0; run < Math.min(lab.pairs, 3); run += 1) {
    const curl = await measureCurl(connection, authorityFile);
    const measure = (kind: 'reflector' | 'informer'): Promise<ListMeasurement> =>
      measureList({
        kind,
        connection,
        watchEvents: WATCH_EVENTS,
        touch: () => many.touch(WATCH_EVENTS, `${kind}-${run}`),
      });
    const reflector = await measure('reflector');
    const informer = await measure('informer');
    runs.push({ reflector, informer, curlMs: curl.wallMs, bytes: curl.bytes });
    lab.say(
      `scale: list ${formatSeconds(reflector.list.wallMs)}, informer ${formatSeconds(informer.list.wallMs)}`,
    );
  }
  const middle = (read: (run: (typeof runs)[number]) => number): number => median(runs.map(read));
  const count = SIZES.at(-1) ?? 1;
  const both = (format: (value: number) => string, read: (measured: ListMeasurement) => number): string =>
    `${format(middle(({ reflector }) => read(reflector)))} : ${format(middle(({ informer }) => read(informer)))}`;
  const finding = (what: string, figure: string): Finding => ({ part: 'scale', what, figure });
  const size = `${formatMib(middle(({ bytes }) => bytes))}, ${(middle(({ bytes }) => bytes) / count / 1000).toFixed(1)} kB each`;
  return [
    {
      part: 'scale',
      what: `list of ${count} Deployments (${size}): RSS at most above that before, reflector : client-node's informer`,
      figure: both(formatMib, ({ list }) => list.peakBytes - list.baseBytes),
    },
    {
      ...limit(
        'list: longest block of the event loop, in CPU time',
        { value: middle(({ reflector }) => reflector.list.longestBlockMs), most: MOST.blockMs },
        formatSeconds,
      ),
      figure: both(formatSeconds, ({ list }) => list.longestBlockMs),
    },
    finding(
      'list: time until synced, and as a ratio to curl of the same list',
      `${both(formatSeconds, ({ list }) => list.wallMs)}; ` +
        `${middle(({ reflector, curlMs }) => reflector.list.wallMs / curlMs).toFixed(2)}x : ` +
        `${middle(({ informer, curlMs }) => informer.list.wallMs / curlMs).toFixed(2)}x`,
    ),
    finding(
      'list: CPU time',
      both(formatSeconds, ({ list }) => list.cpuMs),
    ),
    finding(
      'list: heap that stays',
      both(formatMib, ({ list }) => list.heapBytes),
    ),
    finding(
      `watch: CPU time of ${WATCH_EVENTS} events`,
      both(formatSeconds, ({ watch }) => watch.cpuMs),
    ),
  ];
}

/** Before the controller has ever run: nothing is swapped, and the backup is empty. */
async function describePlan({ lab, deps, apiServer, many, bundle }: Scale): Promise<Finding> {
  await many.undo();
  lab.say('scale: planning');
  const lookupsBefore = many.lookups;
  const before = await readCpuTime(apiServer.apiServer.pid);
  const { wallMs, cpuMs, summary } = await measurePlan(deps, bundle, PLAN_DEADLINE_MS);
  const after = await readCpuTime(apiServer.apiServer.pid);
  const shares = `CPU time ${formatSeconds(cpuMs)}, kube-apiserver ${formatSeconds(after.ownMs - before.ownMs)}; ${many.lookups - lookupsBefore} look-ups`;
  return {
    ...limit(
      `plan of ${SIZES.at(-1)} Deployments that have never been swapped`,
      { value: wallMs, most: MOST.planMs },
      formatSeconds,
    ),
    figure: `${summary === undefined ? 'ended after ' : ''}${formatSeconds(wallMs)}; ${shares}`,
  };
}

async function describeQueue(): Promise<Finding> {
  await measureQueue(QUEUE_KEYS);
  const microseconds = await measureQueue(QUEUE_KEYS);
  return {
    part: 'scale',
    what: `queue: CPU time per key of ${QUEUE_KEYS}, without the work`,
    figure: `${microseconds.toFixed(0)} µs`,
  };
}
