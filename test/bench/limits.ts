import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '../../src/clock.ts';
import { RegistryError } from '../../src/errors.ts';
import { parseReference } from '../../src/images/reference.ts';
import { planEngineMemory } from '../../src/registry/engine/regctl.ts';
import { createImageRegistry } from '../../src/registry/image-registry.ts';
import { runProgram } from '../../src/registry/programs/run-program.ts';
import { type ContentServer, startContentServer } from '../support/content-server.ts';
import {
  buildIndexImage,
  buildManifestImage,
  type HostileImage,
  manyManifests,
} from '../support/hostile-images.ts';
import type { Registry } from '../support/registry.ts';
import { readMemory } from './controller-process.ts';
import { type Laboratory, withRegistry } from './laboratory.ts';
import { type Finding, formatMib } from './report.ts';

const SAMPLE_MS = 10;
const TIMEOUT_MS = 300_000;
const MOST_BYTES = planEngineMemory(1).aloneBytes;

interface Sample {
  readonly what: string;
  readonly build: () => HostileImage;
  readonly isAllowed: boolean;
}

const SAMPLES: readonly Sample[] = [
  {
    what: '10 platforms, 10 layers each',
    build: () => buildIndexImage(manyManifests(10, { layers: 10 })),
    isAllowed: true,
  },
  {
    what: '2 manifests, 1,000 layers each',
    build: () => buildIndexImage(manyManifests(2, { layers: 1_000 })),
    isAllowed: true,
  },
  {
    what: '28 platforms, 125 layers each',
    build: () => buildIndexImage(manyManifests(28, { layers: 125 })),
    isAllowed: true,
  },
  {
    what: '500 manifests of 32 kB',
    build: () => buildIndexImage(manyManifests(500, { sizeBytes: 32_000 })),
    isAllowed: true,
  },
  {
    what: '4 manifests of 4 MB',
    build: () => buildIndexImage(manyManifests(4, { sizeBytes: 4_000_000 })),
    isAllowed: true,
  },
  {
    what: '60 manifests of 4 MB',
    build: () => buildIndexImage(manyManifests(60, { sizeBytes: 4_000_000 })),
    isAllowed: false,
  },
  { what: '20,000 layers', build: () => buildManifestImage({ name: 'x', layers: 20_000 }), isAllowed: false },
  {
    what: '8 manifests, 1,000 layers each',
    build: () => buildIndexImage(manyManifests(8, { layers: 1_000 })),
    isAllowed: false,
  },
  { what: '8,000 manifests', build: () => buildIndexImage(manyManifests(8_000)), isAllowed: false },
];

/** What images make the engine take, by itself and started by us; of those over the limits it must not be started. */
export async function measureLimits(lab: Laboratory): Promise<readonly Finding[]> {
  const source = await startContentServer();
  try {
    return await withRegistry(lab, async (backup) => {
      const findings: Finding[] = [];
      for (const sample of SAMPLES) {
        lab.say(`limits: ${sample.what}`);
        findings.push(await measureSample(lab, { source, backup, sample }));
      }
      return findings;
    });
  } finally {
    await source.close();
  }
}

interface Trial {
  readonly source: ContentServer;
  readonly backup: Registry;
  readonly sample: Sample;
}

async function measureSample(lab: Laboratory, { source, backup, sample }: Trial): Promise<Finding> {
  const repository = sample.what.toLowerCase().replaceAll(/\W+/g, '-');
  const image = sample.build();
  source.hold(repository, image);
  const from = `${source.host}/${repository}:1@${image.digest}`;
  const alone = await watchEngine(
    runAlone(lab, { from, to: `${backup.host}/alone/${repository}:1`, hosts: [source.host, backup.host] }),
  );
  let told = 'copied';
  const ours = await watchEngine(
    copyAsWeDo(lab, {
      from,
      to: `${backup.host}/ours/${repository}:1`,
      hosts: [source.host, backup.host],
    }).catch((error: unknown) => {
      if (!(error instanceof RegistryError) || error.reason !== 'Unsupported') {
        throw error;
      }
      told = 'refused';
    }),
  );
  const isRefused = told === 'refused' && ours === 0;
  return {
    part: 'limits',
    what: `regctl at most, alone : started by us; ${sample.what}`,
    figure: `${formatMib(alone)} : ${ours === 0 ? 'not started' : formatMib(ours)}, ${told}`,
    goal: sample.isAllowed ? `≤ ${formatMib(MOST_BYTES)}` : 'refused',
    isMet: sample.isAllowed ? told === 'copied' && ours <= MOST_BYTES : isRefused,
    isCount: true,
  };
}

interface Order {
  readonly from: string;
  readonly to: string;
  readonly hosts: readonly string[];
}

async function runAlone({ tools }: Laboratory, { from, to, hosts }: Order): Promise<void> {
  const flags = hosts.flatMap((host) => ['--host', `reg=${host},tls=disabled`]);
  await runProgram({
    program: tools.regctl,
    args: ['image', 'copy', ...flags, '--', from, to],
    environment: { REGCTL_CONFIG: '/dev/null' },
    stdin: '',
    timeoutMs: TIMEOUT_MS,
    signal: new AbortController().signal,
  });
}

async function copyAsWeDo({ tools }: Laboratory, { from, to, hosts }: Order): Promise<void> {
  const registry = createImageRegistry({
    settings: () => ({
      copyConcurrency: 1,
      copyTimeoutMs: TIMEOUT_MS,
      insecureRegistries: hosts,
      copyReferrers: false,
    }),
    configFolder: undefined,
    program: tools.regctl,
    environment: {},
    clock: systemClock,
  });
  try {
    await registry.copy(
      { source: parseReference(from), copy: parseReference(to) },
      new AbortController().signal,
    );
  } finally {
    registry.close();
  }
}

/** The most that any engine had in memory meanwhile. */
async function watchEngine(work: Promise<void>): Promise<number> {
  let peakBytes = 0;
  const done = new AbortController();
  const sample = async (): Promise<void> => {
    while (!done.signal.aborted) {
      const { enginePeaksBytes } = await readMemory(process.pid);
      peakBytes = Math.max(peakBytes, ...enginePeaksBytes);
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
  return peakBytes;
}
