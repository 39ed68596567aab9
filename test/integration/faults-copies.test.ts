/** Copies while something changes, breaks off or happens twice; and that no secret gets anywhere in all of that. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { RegistryError } from '../../src/errors.ts';
import { parseReference } from '../../src/images/reference.ts';
import type { CopyAmounts } from '../../src/reconcile/ports.ts';
import { createImageRegistry, type BackupImageRegistry } from '../../src/registry/image-registry.ts';
import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { findChildren } from '../support/child-processes.ts';
import { startController } from '../support/controller.ts';
import { basicAuth, dockerConfigFor } from '../support/docker-config.ts';
import { listEvents } from '../support/events.ts';
import {
  forImage,
  listRequests,
  startFaultSetup,
  waitForCopyFailed,
  type FaultSetup,
} from '../support/faults-setup.ts';
import { REFUSALS, requestsTo, tooManyFor } from '../support/faults.ts';
import type { FaultyRegistry } from '../support/faulty-registry.ts';
import type { Workload } from '../support/objects.ts';
import { waitForRollout } from '../support/rollout.ts';
import { findDigest, pushImage, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';

const cluster = connectToCluster();
const { kube, backup, source } = cluster;
const MIB = 1024 * 1024;
const NAME = 'faulty-copies';
const PASSWORD = backup.credentials?.password ?? '';

const GET_MANIFEST = requestsTo({ method: 'GET', path: /\/manifests\/sha256/, by: 'engine' });
const GET_LAYER = requestsTo({ method: 'GET', path: /\/blobs\/sha256/ });
const PUT_MANIFEST = requestsTo({ method: 'PUT', path: /\/manifests\/1\.0--/ });

let setup: FaultSetup;
let origin: FaultyRegistry;
let limited: FaultyRegistry;
/** What was told about all workloads. */
const told: string[] = [];

beforeAll(async () => {
  setup = await startFaultSetup({ cluster, name: NAME, sources: 2, settings: { COPY_TIMEOUT: '3s' } });
  [origin, limited] = setup.sources as [FaultyRegistry, FaultyRegistry];
});

afterAll(async () => {
  await setup.close();
});

/** Empty for a process that has ended meanwhile. */
async function readArgumentsAndEnvironment(processId: number): Promise<string> {
  const files = ['cmdline', 'environ'].map((file) => readFile(`/proc/${processId}/${file}`, 'utf8'));
  return (await Promise.all(files).catch(() => [])).join('\0');
}

/** Where the copy is, for questions to the real backup. */
function placeOfCopy({ host, repository, digest }: PushedImage): { repository: string; tag: string } {
  const hex = digest.slice('sha256:'.length, 'sha256:'.length + 12);
  return { repository: `${NAME}/${host.replace(':', '_')}/${repository}`, tag: `1.0--${hex}` };
}

async function expectUntouched(workload: Workload): Promise<void> {
  const now = await read(kube, workload);
  expect([now.metadata.generation, imagesOf(now)]).toEqual([1, imagesOf(workload)]);
}

async function waitForCopy(workload: Workload, image: PushedImage): Promise<void> {
  await waitForImages(kube, workload, [copyOf(image, setup.prefix)]);
  expect(await findDigest(backup, placeOfCopy(image))).toBe(image.digest);
  told.push(...(await listEvents(kube, workload)).map((event) => JSON.stringify(event)));
}

describe('a tag that moves', () => {
  it('between look-up and copy: what the pods run is copied, and runs on', async () => {
    const image = await setup.push(origin, 'moved/running');
    const { repository, tag } = image;
    const letEngine = origin.misbehave(forImage(image, { when: GET_MANIFEST, does: { kind: 'hold' } }));
    const workload = await setup.deploy(image);
    await waitForRollout(kube, workload);
    await waitFor(() => listRequests(origin, image).some(GET_MANIFEST), { what: 'the copy to begin' });
    await pushImage(source, { repository, tag, spec: { format: 'oci-manifest', content: 'moved on' } });
    letEngine();
    await waitForCopy(workload, image);
    expect(await findDigest(source, { repository, tag })).not.toBe(image.digest);
  });

  it('before the first pod runs: both images are copied whole, and the one that runs is used', async () => {
    const before = await setup.push(origin, 'moved/starting');
    const { repository, tag } = before;
    const letNodes = origin.misbehave(
      forImage(before, { when: requestsTo({ by: 'nodes' }), does: { kind: 'hold' } }),
    );
    const copied = origin.misbehave(forImage(before, { when: GET_MANIFEST, does: { kind: 'hold' } }));
    const workload = await setup.deploy(before);
    await waitFor(() => listRequests(origin, before).some(GET_MANIFEST), { what: 'the copy to begin' });
    const spec = { format: 'oci-manifest', content: 'started with another' } as const;
    const after = { ...before, digest: (await pushImage(source, { repository, tag, spec })).digest };
    copied();
    await waitFor(() => findDigest(backup, placeOfCopy(before)), { what: 'the copy of what was looked up' });
    letNodes();
    await waitForCopy(workload, after);
    expect(await findDigest(backup, placeOfCopy(before))).toBe(before.digest);
  });

  it(
    'a source that sends another image for the digest → Unknown: “digest mismatch”, and nothing of it is kept',
    { tags: 'attack-registry' },
    async () => {
      const [image, other] = [
        await setup.push(origin, 'moved/swindle'),
        await setup.push(origin, 'moved/swindle', { content: 'another' }),
      ];
      const path = `/v2/${image.repository}/manifests/${other.digest}`;
      await pushImage(source, {
        repository: image.repository,
        tag: image.tag,
        spec: { format: 'oci-manifest', content: image.repository },
      });
      const mend = origin.misbehave(forImage(image, { when: GET_MANIFEST, does: { kind: 'rewrite', path } }));
      const workload = await setup.deploy(image);
      expect(await waitForCopyFailed(kube, workload, 'digest mismatch')).toContain('(Unknown)');
      await expectUntouched(workload);
      expect(await findDigest(backup, placeOfCopy(image))).toBeUndefined();
      expect(await findDigest(backup, placeOfCopy(other))).toBeUndefined();
      mend();
      await waitForCopy(workload, image);
    },
  );
});

describe('a copy that breaks off', () => {
  it('is finished by the next try, which sends only what is missing', async () => {
    const image = await setup.push(origin, 'broken-off', { randomLayers: [MIB, MIB] });
    const isUpload = requestsTo({ method: 'PUT', path: /\/blobs\/uploads\/.*digest=/ });
    const sizes = new Map<string, number>();
    const mend = setup.backup.misbehave(
      forImage(image, {
        when: (request) => {
          const digest = digestOf(request.path);
          const isNew = isUpload(request) && !sizes.has(digest);
          if (isNew) {
            sizes.set(digest, sizes.size);
          }
          // The third of four blobs, and all that follow.
          return isUpload(request) && (sizes.get(digest) ?? 0) >= 2;
        },
        does: { kind: 'hold' },
      }),
    );
    const workload = await setup.deploy(image);
    expect(await waitForCopyFailed(kube, workload, 'not done after 3 s')).toContain('(Timeout)');
    await expectUntouched(workload);
    mend();
    await waitForCopy(workload, image);
    const stored = listRequests(setup.backup, image)
      .filter((request) => isUpload(request) && request.status === 201)
      .map(({ path }) => digestOf(path));
    expect(stored.toSorted()).toEqual([...new Set(stored)].toSorted());
  });
});

function digestOf(path: string): string {
  return new URLSearchParams(path.split('?')[1]).get('digest') ?? '';
}

describe('the same image copied twice at the same time', () => {
  function createRegistry(): BackupImageRegistry {
    return createImageRegistry({
      settings: () => ({
        copyConcurrency: 4,
        copyTimeoutMs: 20_000,
        insecureRegistries: [source.host, setup.backup.host],
        copyReferrers: false,
      }),
      configFolder: setup.credentialsFolder,
      program: cluster.tools.regctl,
      environment: { PATH: process.env['PATH'] },
      clock: systemClock,
      temporaryFolder: setup.temporaryFolder,
    });
  }

  it('by two replicas: each succeeds, at the latest with its next try', async () => {
    const image = await setup.push(origin, 'twice/replicas', {
      format: 'oci-index',
      attestation: true,
      randomLayers: [MIB],
    });
    const { signal } = new AbortController();
    const { repository, tag } = placeOfCopy({ ...image, host: source.host });
    const job = {
      source: parseReference(`${source.host}/${image.repository}:1.0@${image.digest}`),
      copy: parseReference(`${setup.backup.host}/${repository}:${tag}`),
    };
    const copyTwice = (registry: BackupImageRegistry): Promise<CopyAmounts> =>
      registry.copy(job, signal).catch((error: unknown) => {
        if (error instanceof RegistryError && error.retryable) {
          return registry.copy(job, signal);
        }
        throw error;
      });
    const registries = [createRegistry(), createRegistry()];
    await Promise.all(registries.map(copyTwice));
    expect(await findDigest(backup, { repository, tag })).toBe(image.digest);
    for (const registry of registries) {
      registry.close();
    }
  });

  it('by two controllers without leader election: the workload is swapped once', async () => {
    const other = await startController(cluster, {
      name: 'other-controller',
      registries: [setup.backup],
      args: [],
    });
    const image = await setup.push(origin, 'twice/controllers', { randomLayers: [MIB] });
    const workload = await setup.deploy(image);
    await waitForCopy(workload, image);
    expect((await read(kube, workload)).metadata.generation).toBe(2);
    await other.program.stop();
    const lines = [...(await setup.controller.log()), ...(await other.log())];
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('a fault that lasts', () => {
  it('is looked at more and more slowly when it may pass, and left alone when somebody has to act', async () => {
    const [passing, final] = [
      await setup.push(origin, 'lasts/passing'),
      await setup.push(origin, 'lasts/final'),
    ];
    const mends = [
      origin.misbehave(forImage(passing, { when: GET_MANIFEST, does: REFUSALS.unavailable })),
      origin.misbehave(forImage(final, { when: GET_MANIFEST, does: REFUSALS.unknownManifest })),
    ];
    const workloads = [await setup.deploy(passing), await setup.deploy(final)];
    await Promise.all(workloads.map((workload) => waitForRollout(kube, workload)));
    // From then on it is the copy of what the pods run, and no other.
    const sinceMs = Date.now();
    const times = await waitFor(
      () => {
        const tries = listRequests(origin, passing).filter(
          ({ isFaulty, atMs }) => isFaulty && atMs >= sinceMs,
        );
        return tries.length >= 5 && tries.map(({ atMs }) => atMs);
      },
      { what: 'the fifth try' },
    );
    const gaps = times.slice(-3).map((atMs, index) => atMs - (times.at(index - 4) ?? 0));
    // Waits are random in part: only those two apart never overlap.
    expect(gaps[2]).toBeGreaterThan(gaps[0] ?? Infinity);
    expect(listRequests(origin, final).filter(({ isFaulty }) => isFaulty).length).toBeLessThanOrEqual(2);
    await Promise.all(workloads.map(expectUntouched));
    for (const mend of mends) {
      mend();
    }
  });

  it('a wrong password in config.json → Unauthorized, and a right one is noticed', async () => {
    const file = join(setup.credentialsFolder, 'config.json');
    const wrong = { ...setup.backup, credentials: { user: 'backup', password: 'wrong' } };
    await writeFile(file, dockerConfigFor([wrong]));
    const image = await setup.push(origin, 'password');
    const workload = await setup.deploy(image);
    expect(await waitForCopyFailed(kube, workload, 'answered 401 Unauthorized')).toContain('(Unauthorized)');
    // From here on nothing changes but the file.
    await waitForRollout(kube, workload);
    await expectUntouched(workload);
    await writeFile(file, dockerConfigFor([setup.backup]));
    await waitForCopy(workload, image);
    // It may have been tried again for another reason, a moment before the file was noticed.
    await waitFor(
      async () =>
        (await setup.controller.log()).some(({ message }) => message === 'registry credentials changed'),
      { what: 'the new file to be noticed' },
    );
  });

  it(
    'a backup that acknowledges what it does not keep: is not asked again and again at once',
    { tags: 'attack-registry' },
    async () => {
      const image = await setup.push(origin, 'not-kept');
      const headers = { 'docker-content-digest': image.digest };
      const lies = { kind: 'answer', status: 201, headers } as const;
      const mend = setup.backup.misbehave(forImage(image, { when: PUT_MANIFEST, does: lies }));
      const workload = await setup.deploy(image);
      const times = await waitFor(
        () => {
          const writes = listRequests(setup.backup, image).filter(
            ({ isFaulty, path }) => isFaulty && path.includes('--'),
          );
          return writes.length >= 6 && writes.map(({ atMs }) => atMs);
        },
        { what: 'six copies that are not kept' },
      );
      await expectUntouched(workload);
      mend();
      await waitForCopy(workload, image);
      // One for the tag, one for what runs, and for each of them one at once, because a copy may have been deleted. Then
      // the waits double, from 0.5 to 1 s: those two apart never overlap.
      const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
      expect(gaps[4]).toBeGreaterThan(gaps[2] ?? Infinity);
      expect((times[5] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1_500);
    },
  );
});

describe('a registry that says 429', () => {
  it('the backup: nobody asks it before the time is over', async () => {
    const first = await setup.push(origin, 'limited/first');
    const second = await setup.push(origin, 'limited/second');
    const when = requestsTo({ method: 'HEAD', path: /1\.0--/ });
    const mend = setup.backup.misbehave(forImage(first, { when, does: tooManyFor(15) }));
    const workload = await setup.deploy(first);
    expect(await waitForCopyFailed(kube, workload, 'backup registry')).toContain('(RateLimited)');
    mend();
    const other = await setup.deploy(second);
    expect(await waitForCopyFailed(kube, other, 'asked to be left alone until')).toContain('(RateLimited)');
    await waitForCopy(workload, first);
    await waitForCopy(other, second);
    const startMs = listRequests(setup.backup, first).find(({ isFaulty }) => isFaulty)?.atMs ?? 0;
    const others = listRequests(setup.backup, second).map(({ atMs }) => atMs - startMs);
    expect(Math.min(...others)).toBeGreaterThanOrEqual(15_000);
  });

  it('a source, and not until when: a minute for all its images; a restarted controller asks again', async () => {
    const [first, second] = [
      await setup.push(limited, 'unsaid/first'),
      await setup.push(limited, 'unsaid/second'),
    ];
    const startedMs = Date.now();
    const mend = limited.misbehave(
      forImage(first, { when: requestsTo({ method: 'HEAD', by: 'anybody' }), does: REFUSALS.tooMany }),
    );
    const workload = await setup.deploy(first);
    expect(await waitForCopyFailed(kube, workload, 'answered 429 Too Many Requests')).toContain(
      '(RateLimited)',
    );
    mend();
    const other = await setup.deploy(second);
    const note = await waitForCopyFailed(kube, other, 'asked to be left alone until');
    const untilMs = Date.parse(/until (\S+)\. /.exec(note)?.[1] ?? '');
    expect(untilMs - startedMs).toBeGreaterThan(50_000);
    expect(listRequests(limited, second)).toEqual([]);
    await setup.controller.program.stop();
    await setup.controller.program.start();
    await waitForCopy(workload, first);
    await waitForCopy(other, second);
  });
});

describe('the password of the backup', { tags: 'attack-secret' }, () => {
  const secrets = (): readonly string[] => {
    const { user = '' } = backup.credentials ?? {};
    return [PASSWORD, basicAuth({ user, password: PASSWORD })];
  };
  const findSecrets = (text: string): readonly string[] =>
    secrets().filter((secret) => text.includes(secret));

  it('is in no argument and no environment variable of an engine, and in no file that it could leave', async () => {
    const image = await setup.push(origin, 'held');
    const release = origin.misbehave(forImage(image, { when: GET_LAYER, does: { kind: 'hold' } }));
    const workload = await setup.deploy(image);
    await waitFor(() => origin.waiting() > 0, { what: 'the copy to be under way' });
    // One that has run into its time is ended, and the next one is not there at once.
    const seen = await waitFor(
      async () => {
        const engines = await findChildren(setup.controller.program.pid, 'regctl');
        const texts = await Promise.all(engines.map(readArgumentsAndEnvironment));
        return texts.some((text) => text.includes('/held')) && texts;
      },
      { what: 'the engine of the copy' },
    );
    expect(seen.flatMap(findSecrets)).toEqual([]);
    expect(await readdir(setup.temporaryFolder)).toEqual([]);
    release();
    await waitForCopy(workload, image);
  });

  it('was written to no log and no event', async () => {
    const log = await setup.controller.program.log();
    expect(log).toContain('copy verified');
    expect(told.length).toBeGreaterThan(5);
    expect([log, ...told].flatMap(findSecrets)).toEqual([]);
    expect(await readdir(setup.temporaryFolder)).toEqual([]);
  });
});
