/** What the hostile tenant does to the cluster, one act at a time. */
import { annotationKey } from '../../../src/workloads/annotations.ts';
import type { FaultyRegistry, Misbehaviour } from '../../support/faulty-registry.ts';
import { REFUSALS } from '../../support/faults.ts';
import { isTransient, KubeError } from '../../support/kube-error.ts';
import { type Kube, referenceTo } from '../../support/kube.ts';
import type { Workload } from '../../support/objects.ts';
import { NEVER_READY_ANNOTATION, CRASHING_ANNOTATION } from '../../support/kubelet/pod-status.ts';
import { aDeployment } from '../../support/workload-builders.ts';
import {
  forgeHold,
  forgeRecord,
  forgeRollout,
  makeAnnotations,
  makeImageText,
  makeStatus,
  pickCount,
  pickFrom,
  type TextFacts,
  type Victim,
} from '../../support/hostile-texts.ts';
import { ANSWER_WAYS, RAW_WAYS, SHAPED } from './hostile-registries.ts';
import { SHAPE_NAMES } from './shaped-images.ts';

export interface HostileFacts {
  readonly kube: Kube;
  readonly namespace: string;
  /** Has a quota of three pods. */
  readonly crampedNamespace: string;
  readonly prefix: string;
  /** Names of it are slow to look up, and mean nothing. */
  readonly slowDomain: string;
  readonly victims: readonly Victim[];
  /** Registries that misbehave in one way each, by the words for it. */
  readonly hosts: Readonly<Record<string, string>>;
  /** In front of a registry with `images` of the tenant. */
  readonly faulty: readonly FaultyRegistry[];
  /** Repositories with the tag `1.0`. */
  readonly images: readonly string[];
}

/** Returns what was done, in words. */
type Act = (tenant: HostileTenant, random: () => number) => Promise<string>;

/** More objects than that are deleted again, the oldest first. */
const MOST_WORKLOADS = 400;
/** Below the 1.5 MB of a request and of an entry of etcd. */
const LARGEST_TEXT = 1_100_000;
const MOST_CONTAINERS = 3_000;

export class HostileTenant {
  readonly facts: HostileFacts;
  #created: Workload[] = [];
  #count = 0;

  constructor(facts: HostileFacts) {
    this.facts = facts;
  }

  /** A number that no image, name or host of this tenant has had yet. */
  next(): number {
    this.#count += 1;
    return this.#count;
  }

  texts(random: () => number): TextFacts {
    const { prefix, victims } = this.facts;
    return { prefix, victims, random };
  }

  /** What the API server refuses is refused. Without replicas, unless the act is about pods. */
  async deploy(
    options: Omit<Parameters<typeof aDeployment>[0], 'namespace' | 'name'> & { readonly isCramped?: boolean },
  ): Promise<void> {
    const { kube, namespace, crampedNamespace } = this.facts;
    const { isCramped = false, ...rest } = options;
    const workload = aDeployment({
      replicas: 0,
      ...rest,
      namespace: isCramped ? crampedNamespace : namespace,
      name: `evil-${this.next()}`,
    });
    await attempt(async () => {
      this.#created.push(await kube.create(workload));
    });
    for (const old of this.#created.splice(0, this.#created.length - MOST_WORKLOADS)) {
      await this.delete(old);
    }
  }

  pickOwn(random: () => number): Workload | undefined {
    return this.#created[Math.floor(random() * this.#created.length)];
  }

  async patch(workload: Workload, body: unknown): Promise<void> {
    await attempt(() => this.facts.kube.patch(referenceTo(workload), body));
  }

  async delete(workload: Workload): Promise<void> {
    this.#created = this.#created.filter((one) => one !== workload);
    await attempt(() => this.facts.kube.delete(referenceTo(workload)));
  }

  /** Leaves nothing behind. */
  async withdraw(): Promise<void> {
    for (const workload of this.#created) {
      await this.delete(workload);
    }
  }
}

async function attempt(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    // A request of more than its limit is cut off by the API server.
    if (!(error instanceof KubeError) && !isTransient(error)) {
      throw error;
    }
  }
}

function list<T>(count: number, make: (index: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

async function deployFrom(tenant: HostileTenant, host: string, count: number): Promise<void> {
  const images = list(count, () => `${host}/around-${tenant.next()}/app:1.0`);
  // Slots of one workload and of many.
  for (let start = 0; start < count; start += 24) {
    await tenant.deploy({ images: images.slice(start, start + 24) });
  }
}

/** Where what one tenant shows might be taken for what all have. */
async function deployShared(
  tenant: HostileTenant,
  count: number,
  more: Omit<Parameters<HostileTenant['deploy']>[0], 'images'>,
): Promise<void> {
  const { victims } = tenant.facts;
  for (let index = 0; index < count; index += 1) {
    const victim = victims[index % victims.length];
    if (victim) {
      await tenant.deploy({
        replicas: 1,
        images: [`${victim.host}/${victim.repository}:${victim.tag}`],
        ...more,
      });
    }
  }
}

function pickMisbehaviour(random: () => number, foreign: Victim): Misbehaviour {
  return pickFrom<Misbehaviour>(
    [
      { kind: 'hold' },
      { kind: 'cut', body: 'answer', afterBytes: pickCount(random, 0, 2_000) },
      { kind: 'corrupt', body: 'answer', atByte: pickCount(random, 0, 500) },
      { kind: 'throttle', bytesPerSecond: pickCount(random, 10, 10_000) },
      { kind: 'lose answer' },
      { kind: 'headers', headers: { 'docker-content-digest': foreign.digest } },
      { kind: 'rewrite', path: `/v2/${foreign.repository}/manifests/${foreign.digest}` },
      { kind: 'rewrite', path: '/v2/' },
      ...Object.values(REFUSALS),
    ],
    random,
  );
}

async function misbehave(tenant: HostileTenant, random: () => number): Promise<string> {
  const { faulty, victims, images } = tenant.facts;
  const registry = pickFrom(faulty, random);
  const does = pickMisbehaviour(random, pickFrom(victims, random));
  const method = pickFrom(['GET', 'HEAD'], random);
  registry.misbehave({
    when: (request) => request.method === method,
    does,
    times: pickCount(random, 1, 200),
  });
  const count = pickCount(random, 1, 12);
  await tenant.deploy({
    replicas: random() < 0.3 ? 1 : 0,
    images: list(count, () => `${registry.host}/${pickFrom(images, random)}:1.0`),
  });
  const words = does.kind === 'answer' ? `answer ${does.status}` : does.kind;
  return `${count} images of a registry that does to every ${method}: ${words}`;
}

export const ACTS = {
  'random annotations': async (tenant, random) => {
    const count = pickCount(random, 1, 10);
    for (let left = count; left > 0; left -= 1) {
      const annotations = makeAnnotations(tenant.texts(random), Date.now());
      const own = tenant.pickOwn(random);
      await (own && random() < 0.5
        ? tenant.patch(own, { metadata: { annotations } })
        : tenant.deploy({ images: [makeImageText(tenant.texts(random))], annotations }));
    }
    return `${count} workloads with random annotations`;
  },
  'random image texts': async (tenant, random) => {
    const count = pickCount(random, 1, 40);
    await tenant.deploy({ images: list(count, () => makeImageText(tenant.texts(random)).slice(0, 20_000)) });
    return `a workload with ${count} random image texts`;
  },
  'the longest image texts': async (tenant, random) => {
    const count = pickCount(random, 8, 40);
    const letter = pickFrom(['a', 'a/', ':', '@', '\u{1f480}'], random);
    for (let left = count; left > 0; left -= 1) {
      const text = letter.repeat(LARGEST_TEXT / Buffer.byteLength(letter));
      await tenant.deploy({
        images: [`${pickFrom(tenant.facts.victims, random).host}/x${tenant.next()}${text}`],
      });
    }
    return `${count} workloads with an image text of 1.1 MB`;
  },
  'thousands of containers': async (tenant, random) => {
    const count = pickCount(random, 1_000, MOST_CONTAINERS);
    const host = pickFrom(Object.values(tenant.facts.hosts), random);
    const name = pickFrom(['a,', 'main,', 'extra-1,'], random);
    await tenant.deploy({
      images: list(count, (index) => (random() < 0.5 ? `${host}/same:1` : `${host}/many-${index}:1`)),
      annotations: { [annotationKey('ignore-containers')]: name.repeat(64_000 / name.length) },
    });
    return `a workload with ${count} containers and as many ignored names`;
  },
  'thousands of containers and pods': async (tenant, random) => {
    const count = pickCount(random, 100, 400);
    const { host, repository, tag } = pickFrom(tenant.facts.victims, random);
    await tenant.deploy({
      replicas: pickCount(random, 1, 4),
      images: list(count, () => `${host}/${repository}:${tag}`),
      podAnnotations: { [NEVER_READY_ANNOTATION]: host },
    });
    return `a workload with pods of ${count} containers`;
  },
  'many workloads': async (tenant, random) => {
    const count = pickCount(random, 10, 60);
    for (let left = count; left > 0; left -= 1) {
      await tenant.deploy({ images: [makeImageText(tenant.texts(random)).slice(0, 300)] });
    }
    return `${count} small workloads`;
  },
  'forged records': async (tenant, random) => {
    const count = pickCount(random, 1, 5);
    for (let left = count; left > 0; left -= 1) {
      const { image, annotations } = forgeRecord(tenant.texts(random), Date.now());
      await tenant.deploy({ replicas: 1, images: [image], annotations });
    }
    return `${count} forged records of swaps`;
  },
  'forged holds': async (tenant, random) => {
    await deployShared(tenant, 3, { annotations: forgeHold(tenant.texts(random), Date.now()) });
    return '3 forged holds';
  },
  'forged rollouts': async (tenant, random) => {
    for (let left = 8; left > 0; left -= 1) {
      const { image, annotations } = forgeRollout(tenant.texts(random), Date.now());
      await tenant.deploy({ replicas: 1, images: [image], annotations });
    }
    return '8 forged records of swaps that go on for ever';
  },
  'random status': async (tenant, random) => {
    const count = pickCount(random, 1, 10);
    for (let left = count; left > 0; left -= 1) {
      const status = makeStatus(tenant.texts(random), Date.now()).slice(0, 200_000);
      await deployShared(tenant, 1, { annotations: { [annotationKey('status')]: status } });
    }
    return `${count} random statuses`;
  },
  'copies that never get ready': async (tenant) => {
    await deployShared(tenant, 6, { podAnnotations: { [NEVER_READY_ANNOTATION]: tenant.facts.prefix } });
    return '6 workloads whose copies never get ready';
  },
  'copies that crash': async (tenant) => {
    await deployShared(tenant, 6, { podAnnotations: { [CRASHING_ANNOTATION]: tenant.facts.prefix } });
    return '6 workloads whose copies crash';
  },
  'a full quota': async (tenant) => {
    await deployShared(tenant, 3, { isCramped: true });
    return '3 workloads where the quota has no place for another pod';
  },
  'a registry that answers by itself': async (tenant, random) => {
    const way = pickFrom([...RAW_WAYS, ...ANSWER_WAYS], random);
    const count = pickCount(random, 16, 72);
    await deployFrom(tenant, tenant.facts.hosts[way] ?? '', count);
    return `${count} images of a registry that ${way}`;
  },
  'a registry that upgrades': async (tenant) => {
    await deployFrom(tenant, tenant.facts.hosts['upgrades'] ?? '', 16);
    return '16 images of a registry that upgrades';
  },
  'a silent registry': async (tenant) => {
    await deployFrom(tenant, tenant.facts.hosts['is silent'] ?? '', 72);
    return '72 images of a registry that is silent';
  },
  'many host names': async (tenant) => {
    for (let left = 300; left > 0; left -= 50) {
      await tenant.deploy({ images: list(50, () => `n${tenant.next()}${tenant.facts.slowDomain}/app:1.0`) });
    }
    return '300 host names that are slow to look up';
  },
  'dear images': async (tenant, random) => {
    const shape = Math.floor(random() * SHAPE_NAMES.length);
    const images = list(
      2,
      () => `${tenant.facts.hosts[SHAPED] ?? ''}/shape-${shape}/image-${tenant.next()}:1.0`,
    );
    await tenant.deploy({ images });
    return `2 images with ${SHAPE_NAMES[shape]}`;
  },
  'a million entries': async (tenant) => {
    await tenant.deploy({
      images: [`${tenant.facts.hosts[SHAPED] ?? ''}/shape-0/image-${tenant.next()}:1.0`],
    });
    return 'an image with a million entries';
  },
  'a registry with a fault': misbehave,
  'another registry with a fault': misbehave,
  'changes of heart': async (tenant, random) => {
    const count = pickCount(random, 5, 40);
    for (let left = count; left > 0; left -= 1) {
      const own = tenant.pickOwn(random);
      if (own) {
        const refresh = { metadata: { annotations: { [annotationKey('refresh')]: String(random()) } } };
        const scale = { spec: { replicas: pickCount(random, 0, 2) } };
        // The status of a pod has every image text twice, and more than 3 MB are refused.
        const isSmall = JSON.stringify(own.spec.template).length < 100_000;
        await (random() < 0.3
          ? tenant.delete(own)
          : tenant.patch(own, random() < 0.5 && isSmall ? scale : refresh));
      }
    }
    return `${count} changes of own workloads`;
  },
} as const satisfies Record<string, Act>;

export type ActName = keyof typeof ACTS;
export const ACT_NAMES = Object.keys(ACTS) as ActName[];
