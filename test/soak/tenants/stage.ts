/** Real parts for the tenants: a control plane, registries at a distance, and the controller as its image runs it. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { bundleProgram, readImageEnvironment, readNodeOptions } from '../../bench/as-in-a-pod.ts';
import {
  type Controller,
  installController,
  type InstallDeps,
  startController,
} from '../../support/controller.ts';
import { startControlPlane } from '../../support/control-plane.ts';
import { dockerConfigFor } from '../../support/docker-config.ts';
import { type FaultyRegistry, startFaultyRegistry } from '../../support/faulty-registry.ts';
import { requestsTo } from '../../support/faults.ts';
import type { Kube } from '../../support/kube.ts';
import { createNamespace } from '../../support/namespaces.ts';
import type { Processes } from '../../support/processes.ts';
import { startRegistry, type Registry } from '../../support/registry.ts';
import { pushImage, type PushedImage } from '../../support/seed-images.ts';
import { startTestKubelet } from '../../support/test-kubelet.ts';
import type { Tools } from '../../tools/build.ts';
import type { ActName } from './hostile-acts.ts';
import type { FromHostile, HostileOrder, ToHostile } from './hostile-process.ts';
import type { Victim } from '../../support/hostile-texts.ts';

/** Of every request of the controller and its engine: what others wait for is this, and not a processor that is busy. */
const DISTANCE_MS = 150;
const PATH = 'tenants';
const SLOW_DOMAIN = '.slow.invalid';
const VICTIMS = 4;
const HOSTILE_IMAGES = 6;
const HOSTILE = 'mallory';
const CRAMPED = 'mallory-cramped';

/** Of tenants who do no harm. */
export const TEAMS = ['team-a', 'team-b', 'team-c'] as const;

export interface Stage {
  readonly kube: Kube;
  /** Of the teams, and what they share. */
  readonly source: FaultyRegistry;
  readonly backup: FaultyRegistry;
  /** Without the distance. */
  readonly near: { readonly source: Registry; readonly backup: Registry };
  /** Images of the teams that the hostile tenant knows. */
  readonly shared: readonly PushedImage[];
  readonly prefix: string;
  readonly controller: Controller;
  /** Lines of `Block`. */
  readonly blocksFile: string;
  readonly hostile: Hostile;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly tools: Tools;
  readonly processes: Processes;
  readonly seed: number;
  /** What the hostile tenant does; all, when there is nothing in it. */
  readonly only: readonly ActName[];
  onAct(act: Act): void;
}

export interface Act {
  readonly act: string;
  /** As `Date.now()`. */
  readonly atMs: number;
}

/** The process of the hostile tenant. */
interface Hostile {
  attack(): void;
  /** Returns when it has deleted what it made. */
  withdraw(): Promise<void>;
  /** Rejects when the process ends before it is told to. */
  readonly failed: Promise<never>;
}

async function startNear({ tools, processes }: StageOptions) {
  const [controlPlane, source, backup] = await Promise.all([
    startControlPlane({ tools, processes }),
    startRegistry({ tools, processes, name: 'source-registry' }),
    startRegistry({ tools, processes, name: 'backup-registry', auth: true }),
  ]);
  return { controlPlane, source, backup };
}

async function startFar(near: Registry): Promise<FaultyRegistry> {
  const far = await startFaultyRegistry(near);
  far.misbehave({ when: requestsTo({}), does: { kind: 'delay', ms: DISTANCE_MS } });
  return far;
}

/** Two tags of each repository: the second is what a pull request has built. */
async function pushShared(
  near: Registry,
  host: string,
): Promise<{ shared: PushedImage[]; victims: Victim[] }> {
  const indexes = Array.from({ length: VICTIMS }, (_, index) => index);
  const both = await Promise.all(
    indexes.map((index) => {
      const push = (tag: string): Promise<PushedImage> =>
        pushImage(near, {
          repository: `shared/app-${index}`,
          tag,
          spec: { format: 'oci-manifest', content: `shared ${index} ${tag}` },
        });
      return Promise.all([push('1.0'), push('pr-1')]);
    }),
  );
  return {
    shared: both.map(([image]) => ({
      ...image,
      host,
      reference: `${host}/${image.repository}:${image.tag}`,
    })),
    victims: both.map(([{ repository, tag, digest }, other]) => ({
      host,
      repository,
      tag,
      digest,
      otherDigest: other.digest,
    })),
  };
}

async function pushHostile(near: Registry): Promise<readonly string[]> {
  const names = Array.from({ length: HOSTILE_IMAGES }, (_, index) => `mallory/app-${index}`);
  await Promise.all(
    names.map((repository) =>
      pushImage(near, { repository, tag: '1.0', spec: { format: 'oci-index', content: repository } }),
    ),
  );
  return names;
}

async function prepareNamespaces(kube: Kube): Promise<void> {
  await Promise.all([...TEAMS, HOSTILE, CRAMPED].map((name) => createNamespace(kube, name)));
  await kube.create({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { namespace: CRAMPED, name: 'pods' },
    spec: { hard: { pods: '3' } },
  } as never);
}

/** The bundle, as the Deployment of the manifests starts it, with the probe loaded before it. */
async function startInPod(
  deps: InstallDeps,
  backup: FaultyRegistry,
  blocksFile: string,
): Promise<Controller> {
  const [program, probe] = await Promise.all(
    ['src/main.ts', fileURLToPath(import.meta.resolve('./loop-probe.ts'))].map(async (source, index) => {
      const folder = await deps.processes.createFolder(`bundle-${index}`);
      await bundleProgram(source, folder);
      return folder;
    }),
  );
  const nodeOptions = [...(await readNodeOptions()), `--import=${join(probe ?? '', 'loop-probe.mjs')}`];
  return startController(deps, {
    registries: [backup],
    image: {
      command: process.execPath,
      main: join(program ?? '', 'main.mjs'),
      path: [join(deps.tools.regctl, '..'), process.env['PATH']].join(':'),
      folder: await deps.processes.createFolder('pod'),
      userId: undefined,
    },
    environment: {
      ...(await readImageEnvironment()),
      NODE_OPTIONS: nodeOptions.join(' '),
      LOOP_PROBE_FILE: blocksFile,
      SLOW_DOMAIN,
    },
  });
}

interface HostileChild extends Hostile {
  readonly hosts: readonly string[];
  know(what: { readonly prefix: string; readonly victims: readonly Victim[] }): Promise<void>;
  close(): void;
}

async function startHostile(order: HostileOrder, onAct: (act: Act) => void): Promise<HostileChild> {
  const child = fork(fileURLToPath(import.meta.resolve('./hostile-process.ts')), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting = new Map<string, (message: FromHostile) => void>();
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => undefined);
  child.on('exit', (code) => ended.reject(new Error(`the hostile tenant ended with ${code}`)));
  child.on('message', (message: FromHostile) => {
    if ('act' in message) {
      onAct(message);
      return;
    }
    waiting.get('hosts' in message ? 'hosts' : message.is)?.(message);
  });
  const send = (message: ToHostile): void => {
    // It has ended otherwise, and `failed` says so.
    if (child.connected) {
      child.send(message);
    }
  };
  const ask = async (message: ToHostile, answer: string): Promise<FromHostile> => {
    const answered = new Promise<FromHostile>((resolve) => {
      waiting.set(answer, resolve);
    });
    send(message);
    return Promise.race([answered, ended.promise]);
  };
  const hosts = await ask({ start: order }, 'hosts');
  return {
    hosts: 'hosts' in hosts ? hosts.hosts : [],
    know: async (know) => void (await ask({ know }, 'resting')),
    attack: () => send({ say: 'attack' }),
    withdraw: async () => void (await ask({ say: 'withdraw' }, 'gone')),
    failed: ended.promise,
    close() {
      if (child.connected) {
        child.disconnect();
      }
    },
  };
}

export async function startStage(options: StageOptions): Promise<Stage> {
  const { tools, processes, seed, only } = options;
  const { controlPlane, source: nearSource, backup: nearBackup } = await startNear(options);
  const { kube, connection, kubeconfigFile } = controlPlane;
  const deps = { tools, processes, kube, connection, kubeconfigFile };
  const [source, backup] = await Promise.all([startFar(nearSource), startFar(nearBackup)]);
  const [{ shared, victims }, images] = await Promise.all([
    pushShared(nearSource, source.host),
    pushHostile(nearSource),
    prepareNamespaces(kube),
  ]);
  const { host, url, logFile } = nearSource;
  const hostile = await startHostile(
    {
      namespace: HOSTILE,
      crampedNamespace: CRAMPED,
      slowDomain: SLOW_DOMAIN,
      images,
      seed,
      only,
      connection,
      source: { host, url, logFile },
    },
    options.onAct,
  );
  const prefix = `${backup.host}/${PATH}`;
  await installController(deps, {
    REGISTRY_PREFIX: prefix,
    INSECURE_REGISTRIES: [source.host, backup.host, ...hostile.hosts].join(','),
    SOURCE_HOSTS: `127.0.0.1:*,*${SLOW_DOMAIN}`,
  });
  const kubelet = await startTestKubelet({
    kube,
    nodes: [{ name: 'node-1' }, { name: 'node-2' }],
    nodeConfig: dockerConfigFor([backup]),
  });
  await hostile.know({ prefix, victims });
  const blocksFile = join(processes.folder, 'blocks.jsonl');
  const controller = await startInPod(deps, backup, blocksFile);
  return {
    kube,
    source,
    backup,
    near: { source: nearSource, backup: nearBackup },
    shared,
    prefix,
    controller,
    blocksFile,
    hostile,
    async stop() {
      hostile.close();
      await controller.program.stop();
      await kubelet.stop();
      await Promise.all([source.close(), backup.close()]);
      await controlPlane.stop();
    },
  };
}
