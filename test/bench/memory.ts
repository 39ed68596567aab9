import { setTimeout as sleep } from 'node:timers/promises';

import type { Registry } from '../support/registry.ts';
import type { SampleImage } from '../support/seed-images.ts';
import { type ControllerProcess, startControllerProcess } from './controller-process.ts';
import { createOrder, type Laboratory, seed, withRegistry } from './laboratory.ts';
import { type Finding, formatMib } from './report.ts';

const MIB = 1024 * 1024;
const IMAGES = 16;
const LAYERS_MIB = [12, 8, 4];
const CONCURRENCIES = [1, 4, 16];
/** Of the peak with one copy in flight. */
const MOST_TIMES = 1.1;
const SAMPLE_MS = 20;

interface Peaks {
  readonly controllerBytes: number;
  /** Of the engines, together and the largest one. */
  readonly enginesBytes: number;
  readonly engineBytes: number;
}

/** The controller's own peak is kept by the kernel; the engines come and go, so they are looked at often. */
async function watchPeaks(controller: ControllerProcess, work: Promise<unknown>): Promise<Peaks> {
  let enginesBytes = 0;
  let engineBytes = 0;
  const done = new AbortController();
  const sample = async (): Promise<void> => {
    while (!done.signal.aborted) {
      const { enginePeaksBytes } = await controller.readMemory();
      enginesBytes = Math.max(
        enginesBytes,
        enginePeaksBytes.reduce((sum, bytes) => sum + bytes, 0),
      );
      engineBytes = Math.max(engineBytes, ...enginePeaksBytes);
      await sleep(SAMPLE_MS);
    }
  };
  const sampling = sample();
  try {
    await work;
  } finally {
    done.abort();
    await sampling;
  }
  const { peakBytes } = await controller.readMemory();
  return { controllerBytes: peakBytes, enginesBytes, engineBytes };
}

async function measureOnce(
  lab: Laboratory,
  { source, images }: { readonly source: Registry; readonly images: readonly SampleImage[] },
  concurrency: number,
): Promise<Peaks> {
  const controller = await startControllerProcess(lab.processes);
  try {
    return await withRegistry(lab, (backup) => {
      const order = createOrder(
        lab,
        { sourceHost: source.host, backupHost: backup.host, images },
        { COPY_CONCURRENCY: String(concurrency) },
      );
      return watchPeaks(controller, controller.backUp(order));
    });
  } finally {
    await controller.close();
  }
}

/** Layers go through the engine: the controller holds traces and manifests only. */
export async function measureMemory(lab: Laboratory): Promise<readonly Finding[]> {
  const images = Array.from({ length: IMAGES }, (_, index): SampleImage => {
    const randomLayers = LAYERS_MIB.map((size) => size * MIB);
    const spec = { format: 'oci-manifest', content: `large image ${index}`, randomLayers } as const;
    return { repository: `bench/large-${index}`, tag: '1.0', spec };
  });
  return withRegistry(lab, async (source) => {
    const sizeBytes = await seed(source, images);
    lab.say(`memory: ${IMAGES} images of ${formatMib(sizeBytes / IMAGES)}, one manifest with 4 layers each`);
    const findings: Finding[] = [];
    let alone: number | undefined;
    for (const concurrency of CONCURRENCIES) {
      const peaks = await measureOnce(lab, { source, images }, concurrency);
      alone ??= peaks.controllerBytes;
      const ratio = peaks.controllerBytes / alone;
      const engines = `regctl ${formatMib(peaks.engineBytes)} each, ${formatMib(peaks.enginesBytes)} together`;
      const isFirst = concurrency === CONCURRENCIES[0];
      findings.push({
        part: 'memory',
        what: `peak RSS of the controller, ${concurrency} copies in flight`,
        figure: `${formatMib(peaks.controllerBytes)}${isFirst ? '' : `, ${ratio.toFixed(2)}x`}; ${engines}`,
        ...(!isFirst && { goal: `≤ ${MOST_TIMES}x`, isMet: ratio <= MOST_TIMES }),
      });
    }
    return findings;
  });
}
