/**
 * Keeps a list of all Deployments, with the controller's reflector or with the informer of the client library, and tells what
 * that costs. One process for each measurement, because memory that was needed once stays.
 */
import type { V1Deployment } from '@kubernetes/client-node';

import { systemClock } from '../../../src/clock.ts';
import { projectWorkload } from '../../../src/kubernetes/workloads/projection.ts';
import type { KubeConnection } from '../../support/kube-transport.ts';
import { watchBlocks } from './block-watch.ts';

export type ListKind = 'reflector' | 'informer';

export interface ListOrder {
  readonly kind: ListKind;
  readonly connection: KubeConnection;
}

export interface ListCost {
  readonly objects: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Of the whole process, with Node itself. */
  readonly peakBytes: number;
  /** Just before the list was asked for. */
  readonly baseBytes: number;
  /** After a collection of garbage, above what it was before the list. */
  readonly heapBytes: number;
  readonly longestBlockMs: number;
}

export interface WatchCost {
  readonly events: number;
  readonly cpuMs: number;
}

interface KeptList {
  readonly synced: Promise<number>;
}

let events = 0;
let awaited = Infinity;
let heard = Promise.withResolvers<void>();

function countEvent(): void {
  events += 1;
  if (events >= awaited) {
    heard.resolve();
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function collectGarbage(): void {
  globalThis.gc?.();
  globalThis.gc?.();
}

/** The modules are loaded before anything is measured. */
async function prepareReflector({ server, ca, token }: KubeConnection): Promise<() => KeptList> {
  const { connectTo } = await import('../../../src/kubernetes/connection/api-client.ts');
  const { createReflector } = await import('../../../src/kubernetes/reflector/reflector.ts');
  return () => {
    const credentials = { headers: { authorization: `Bearer ${token}` }, tls: { ca } };
    const target = {
      server: new URL(server),
      namespace: undefined,
      readCredentials: async () => credentials,
    };
    const silent = () => undefined;
    const reflector = createReflector({
      connection: connectTo(target, { userAgent: 'bench', clock: systemClock }),
      path: '/apis/apps/v1/deployments',
      resource: 'deployments',
      project: (object) => projectWorkload('Deployment', object),
      onChange: countEvent,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      clock: systemClock,
      random: Math.random,
    });
    void reflector.run(new AbortController().signal);
    return { synced: reflector.synced.then(() => reflector.list().length) };
  };
}

async function prepareInformer({ server, ca, token }: KubeConnection): Promise<() => KeptList> {
  const { AppsV1Api, KubeConfig, makeInformer } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'bench', server, caData: Buffer.from(ca).toString('base64') }],
    users: [{ name: 'bench', token }],
    contexts: [{ name: 'bench', cluster: 'bench', user: 'bench' }],
    currentContext: 'bench',
  });
  const api = config.makeApiClient(AppsV1Api);
  const path = '/apis/apps/v1/deployments';
  return () => {
    const informer = makeInformer<V1Deployment>(config, path, () => api.listDeploymentForAllNamespaces());
    informer.on('add', countEvent);
    informer.on('update', countEvent);
    informer.on('error', (error) => {
      throw error;
    });
    return { synced: informer.start().then(() => informer.list().length) };
  };
}

async function measureList({ kind, connection }: ListOrder): Promise<ListCost> {
  const start = await (kind === 'reflector' ? prepareReflector : prepareInformer)(connection);
  collectGarbage();
  const before = { heapBytes: process.memoryUsage().heapUsed, baseBytes: process.memoryUsage().rss };
  const blocks = watchBlocks(1);
  const startedAtMs = performance.now();
  const startedCpuMs = cpuMs();
  const objects = await start().synced;
  const wallMs = performance.now() - startedAtMs;
  const usedCpuMs = cpuMs() - startedCpuMs;
  const longestBlockMs = blocks.end();
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  collectGarbage();
  return {
    objects,
    wallMs,
    cpuMs: usedCpuMs,
    peakBytes,
    baseBytes: before.baseBytes,
    heapBytes: process.memoryUsage().heapUsed - before.heapBytes,
    longestBlockMs,
  };
}

async function measureWatch(count: number): Promise<WatchCost> {
  const startedEvents = events;
  const startedCpuMs = cpuMs();
  awaited = events + count;
  heard = Promise.withResolvers();
  process.send?.('watching');
  await heard.promise;
  return { events: events - startedEvents, cpuMs: cpuMs() - startedCpuMs };
}

process.on('message', (order: ListOrder | { readonly watch: number }) => {
  const measuring = 'watch' in order ? measureWatch(order.watch) : measureList(order);
  measuring.then(
    (cost) => process.send?.(cost),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit());
