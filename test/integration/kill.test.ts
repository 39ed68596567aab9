/** kill -9 at every step of a copy and a swap: whoever comes next ends in the same state. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { copyOf, imagesOf, read, waitForImages } from '../support/backed-up.ts';
import { findChildren } from '../support/child-processes.ts';
import { installController, startController, type Controller } from '../support/controller.ts';
import { aPullSecret } from '../support/docker-config.ts';
import { requestsTo } from '../support/faults.ts';
import { startFaultyRegistry, type FaultyRegistry } from '../support/faulty-registry.ts';
import type { Workload } from '../support/objects.ts';
import { waitForRollout } from '../support/rollout.ts';
import { pushImage, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { aDeployment } from '../support/workload-builders.ts';

const cluster = connectToCluster();
const { kube, source } = cluster;
const PULL_SECRET = 'backup-registry';
const LAST_MESSAGE = 'workload swapped';

/** Where the controller is killed. */
interface KillPoint {
  readonly at: string;
  /** Returns once the controller is there. */
  readonly reach: (controller: Controller, image: PushedImage) => Promise<unknown>;
}

let backup: FaultyRegistry;
let prefix: string;
let namespace: string;
let runs = 0;

beforeAll(async () => {
  backup = await startFaultyRegistry(cluster.backup);
  prefix = `${backup.host}/kill`;
  await installController(cluster, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: `${source.host},${backup.host}`,
    LOG_LEVEL: 'debug',
  });
  namespace = await cluster.createNamespace();
  await kube.create(aPullSecret({ namespace, name: PULL_SECRET }, backup));
});

afterAll(() => backup.close());

/** Without the Lease, which the next one would have to wait for: see the test of the election. */
async function start(readyPage: '/readyz' | 'none'): Promise<Controller> {
  return startController(cluster, { name: `kill-${runs}`, registries: [backup], args: [], readyPage });
}

async function deploy(): Promise<{ readonly image: PushedImage; readonly workload: Workload }> {
  runs += 1;
  const repository = `kill/app-${runs}`;
  const spec = { format: 'oci-index', content: repository, randomLayers: [200_000, 100_000] } as const;
  const image = await pushImage(source, { repository, tag: '1.0', spec });
  const created = await kube.create(
    aDeployment({
      namespace,
      name: `app-${runs}`,
      images: [image.reference],
      pullSecrets: [PULL_SECRET],
    }),
  );
  return { image, workload: await waitForRollout(kube, created) };
}

/** As the end of a container does, with everything that runs in it. */
async function killAll({ program }: Controller): Promise<void> {
  const engines = await findChildren(program.pid, 'regctl');
  program.kill('SIGKILL');
  for (const engine of engines) {
    try {
      process.kill(engine, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  await program.ended;
}

/** What is to be the same for all, whatever the image is called and the time is. */
async function readFinalState(workload: Workload, image: PushedImage): Promise<unknown> {
  const now = await waitForImages(kube, workload, [copyOf(image, prefix)]);
  const text = JSON.stringify({
    generation: now.metadata.generation,
    images: imagesOf(now),
    annotations: Object.entries(now.metadata.annotations ?? {})
      .filter(([name]) => name.startsWith('backup-image-registry/'))
      .toSorted(([one], [other]) => one.localeCompare(other)),
  });
  return JSON.parse(
    text
      .replaceAll(image.repository, 'REPOSITORY')
      .replaceAll(image.digest, 'DIGEST')
      .replaceAll(String(workload.metadata.uid), 'UID')
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'),
  );
}

async function rehearse(): Promise<{ readonly state: unknown; readonly messages: readonly string[] }> {
  const { image, workload } = await deploy();
  const controller = await start('/readyz');
  const state = await readFinalState(workload, image);
  await controller.program.stop();
  const lines = await controller.log();
  const afterSwap = lines.findIndex(({ message }) => message === LAST_MESSAGE) + 1;
  return { state, messages: [...new Set(lines.slice(0, afterSwap).map(({ message }) => String(message)))] };
}

function atMessage(message: string): KillPoint {
  return {
    at: `log: ${message}`,
    reach: (controller) =>
      waitFor(
        async () => {
          const said = new Set((await controller.log()).map((line) => line['message']));
          // What depends on who was faster does not come every time.
          return said.has(message) || said.has(LAST_MESSAGE);
        },
        { what: `the log line "${message}"`, pollMs: 3 },
      ),
  };
}

/** While the backup has the request, and has not answered. */
function atRequest(at: string, method: string, path: RegExp): KillPoint {
  return {
    at: `request: ${at}`,
    reach: async (_, { repository }) => {
      const when = requestsTo({ method, path });
      const isOurs = (request: Parameters<typeof when>[0]): boolean =>
        when(request) && request.path.includes(`/${repository}/`);
      backup.misbehave({ when: isOurs, does: { kind: 'hold' }, times: 1 });
      await waitFor(() => backup.waiting() > 0, { what: `a request: ${at}`, pollMs: 3 });
    },
  };
}

const REQUESTS = [
  atRequest('is the copy there', 'HEAD', /\/manifests\//),
  atRequest('an upload begins', 'POST', /\/blobs\/uploads\//),
  atRequest('a layer is uploaded', 'PUT', /\/blobs\/uploads\//),
  atRequest('a manifest is written', 'PUT', /\/manifests\/sha256:/),
  atRequest('the immutable tag is written', 'PUT', /\/manifests\/1\.0--/),
  atRequest('the plain tag is written', 'PUT', /\/manifests\/1\.0$/),
];

it('leaves nothing half-changed, wherever it is killed', { timeout: 400_000 }, async () => {
  const { state, messages } = await rehearse();
  expect(messages).toEqual(expect.arrayContaining(['copy started', 'copy verified', 'workload swapped']));
  const results: { at: string; wasSwapped: boolean; isSame: boolean }[] = [];
  for (const { at, reach } of [...messages.map(atMessage), ...REQUESTS]) {
    const { image, workload } = await deploy();
    const victim = await start('none');
    await reach(victim, image);
    await killAll(victim);
    const wasSwapped = (await read(kube, workload)).metadata.generation !== 1;
    runs += 1;
    const next = await start('/readyz');
    const after = await readFinalState(workload, image);
    await next.program.stop();
    results.push({ at, wasSwapped, isSame: JSON.stringify(after) === JSON.stringify(state) });
  }
  console.table(results);
  expect(results.filter(({ isSame }) => !isSame)).toEqual([]);
});
