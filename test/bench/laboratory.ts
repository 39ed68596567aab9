import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import PQueue from 'p-queue';

import type { Processes } from '../support/processes.ts';
import type { RegistryRequest } from '../support/registry-log.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import type { SampleImage } from '../support/seed-images.ts';
import { pushImage } from '../support/seed-images.ts';
import type { Tools } from '../tools/build.ts';
import type { CopyOrder } from './controller-process.ts';
import { startDelayedRegistry } from './delayed-registry.ts';
import { startLine } from './line.ts';

/** What every part needs. */
export interface Laboratory {
  readonly tools: Tools;
  readonly processes: Processes;
  /** Pairs of runs that are compared. */
  readonly pairs: number;
  /** Of what is being done, for whoever watches. */
  say(text: string): void;
}

const TAG = '1.0';
const KIB = 1024;
/** Requests in flight while images are pushed. */
const SEED_CONCURRENCY = 8;

let startedRegistries = 0;

/** An empty registry, and its data removed with it. */
export async function withRegistry<T>(
  { tools, processes }: Laboratory,
  use: (registry: Registry) => Promise<T>,
): Promise<T> {
  startedRegistries += 1;
  const name = `registry-${startedRegistries}`;
  const registry = await startRegistry({ tools, processes, name });
  try {
    return await use(registry);
  } finally {
    await registry.stop();
    await rm(join(processes.folder, name), { recursive: true });
  }
}

/** How images at a registry are named: through a helper that adds a delay to every request, if there is one. */
export async function withDelay<T>(
  registry: Registry,
  delayMs: number,
  use: (host: string) => Promise<T>,
): Promise<T> {
  if (delayMs === 0) {
    return use(registry.host);
  }
  const delayed = await startDelayedRegistry(registry, delayMs);
  try {
    return await use(delayed.host);
  } finally {
    await delayed.close();
  }
}

/** The same through a line that lets so many bytes through in a second, each way and all connections together. */
export async function withLine<T>(
  registry: Registry,
  bytesPerSecond: number | undefined,
  use: (host: string) => Promise<T>,
): Promise<T> {
  if (bytesPerSecond === undefined) {
    return use(registry.host);
  }
  const line = await startLine(registry, bytesPerSecond);
  try {
    return await use(line.host);
  } finally {
    await line.close();
  }
}

/** Calls `work` for each item, several at a time. */
export async function forEach<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  concurrency = SEED_CONCURRENCY,
): Promise<void> {
  const queue = new PQueue({ concurrency });
  await Promise.all(items.map((item) => queue.add(() => work(item))));
}

/**
 * Images of about 1 MB without a byte in common, each in a repository of its own. By turns an index of two platforms
 * with 3 layers each, and a single manifest with 4 layers.
 */
export function planSmallImages(count: number): readonly SampleImage[] {
  return Array.from({ length: count }, (_, index): SampleImage => {
    const content = `small image ${index}`;
    const repository = `bench/small-${index}`;
    return index % 2 === 0
      ? {
          repository,
          tag: TAG,
          spec: { format: 'oci-index', content, randomLayers: [240 * KIB, 240 * KIB] },
        }
      : {
          repository,
          tag: TAG,
          spec: { format: 'oci-manifest', content, randomLayers: [320 * KIB, 320 * KIB, 320 * KIB] },
        };
  });
}

export async function seed(registry: Registry, images: readonly SampleImage[]): Promise<number> {
  let sizeBytes = 0;
  await forEach(images, async (image) => {
    const pushed = await pushImage(registry, image);
    sizeBytes += pushed.sizeBytes;
  });
  return sizeBytes;
}

export interface Route {
  readonly sourceHost: string;
  readonly backupHost: string;
  readonly images: readonly SampleImage[];
}

/** The default settings, but for the registries and what is given. */
export function createOrder(
  { tools }: Laboratory,
  { sourceHost, backupHost, images }: Route,
  settings: Readonly<Record<string, string>> = {},
): CopyOrder {
  return {
    images: images.map(({ repository, tag }) => ({ source: `${sourceHost}/${repository}:${tag}` })),
    settings: {
      REGISTRY_PREFIX: `${backupHost}/backup`,
      INSECURE_REGISTRIES: `${sourceHost},${backupHost}`,
      ...settings,
    },
    program: tools.regctl,
  };
}

/** What two registries were asked meanwhile, from their own logs. */
export async function countRequests<T>(
  { source, backup }: { readonly source: Registry; readonly backup: Registry },
  work: () => Promise<T>,
): Promise<{
  readonly result: T;
  readonly source: readonly RegistryRequest[];
  readonly backup: readonly RegistryRequest[];
}> {
  const [sourceBefore, backupBefore] = await Promise.all([source.requests(), backup.requests()]);
  const result = await work();
  const [sourceAfter, backupAfter] = await Promise.all([source.requests(), backup.requests()]);
  return {
    result,
    source: sourceAfter.slice(sourceBefore.length),
    backup: backupAfter.slice(backupBefore.length),
  };
}

export function countMethod(requests: readonly RegistryRequest[], method: string): number {
  return requests.filter((request) => request.method === method).length;
}

/** The most that one path was asked for with one method. */
export function countMostAsked(requests: readonly RegistryRequest[]): number {
  const counts = Map.groupBy(requests, ({ method, path }) => `${method} ${path}`);
  return Math.max(0, ...[...counts.values()].map((same) => same.length));
}
