import { annotationKey } from '../../src/workloads/annotations.ts';
import {
  forgeHold,
  forgeRecord,
  forgeRollout,
  makeAnnotations,
  makeImageText,
  makeStatus,
  pickFrom,
  type TextFacts,
  type Victim,
} from '../support/hostile-texts.ts';
import { createRandom } from '../support/random.ts';
import type { ClusterModel, ModelWorkload } from './cluster-model.ts';
import { isReady } from './pod-model.ts';
import { HOSTS, type RegistryModel } from './registry-model.ts';

const PREFIX = `${HOSTS.backup}/a`;
const REPOSITORIES = ['one', 'two', 'three'];
const TAGS = ['1', '2'];
const OTHER_TAG = 'pull-request';
const MOST_WORKLOADS = 4;
/** Sizes are for the soak; here it is the order that counts. */
const MOST_REPEATS = 10;
const LONGEST_TEXT = 300;

/** What may be written by hand. */
export const ATTACKS = ['random texts', 'forged records', 'forged holds', 'forged rollouts'] as const;
export type Attack = (typeof ATTACKS)[number];

interface Draft {
  readonly what: string;
  readonly image: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A tenant who may write Deployments in one namespace, and what the pods of these show. */
export class HostileModel {
  readonly #cluster: ClusterModel;
  readonly #registries: RegistryModel;
  readonly #tell: (line: string) => void;
  readonly #own: ModelWorkload[] = [];
  readonly #drafts: Readonly<Record<Attack, (random: () => number) => Draft>> = {
    'random texts': (random) => this.#draftText(random),
    'forged records': (random) => ({
      what: 'a forged record',
      ...forgeRecord(this.#texts(random), Date.now()),
    }),
    'forged holds': (random) => this.#draftHold(random),
    'forged rollouts': (random) => ({
      what: 'a forged rollout',
      ...forgeRollout(this.#texts(random), Date.now()),
    }),
  };
  #count = 0;

  constructor(deps: {
    readonly cluster: ClusterModel;
    readonly registries: RegistryModel;
    readonly tell: (line: string) => void;
  }) {
    this.#cluster = deps.cluster;
    this.#registries = deps.registries;
    this.#tell = deps.tell;
  }

  /** One of the things that such a tenant does, the same for the same number. */
  act(pick: number): void {
    const random = createRandom(pick);
    const own = this.#own[Math.floor(random() * this.#own.length)];
    pickFrom<() => void>(
      [
        ...ATTACKS.map((attack) => () => this.#deploy(this.#drafts[attack](random))),
        () => this.#deploy(this.#draftOther(random)),
        () => own && this.#rewrite(own, random),
        () => own && this.#change(own, random),
        () => own && this.#showOther(own, random),
      ],
      random,
    )();
  }

  /** Nothing that it has written is there any more. */
  leave(): void {
    for (const own of this.#own.splice(0)) {
      this.#cluster.delete(own);
    }
  }

  #deploy({ what, image, annotations }: Draft): void {
    this.#count += 1;
    const name = `mallory-${this.#count}`;
    this.#own.push(this.#cluster.createHostile(name, [image], annotations));
    this.#tell(`the hostile tenant creates ${name} with ${what}: ${image.slice(0, 120)}`);
    const [oldest] = this.#own;
    if (oldest && this.#own.length > MOST_WORKLOADS) {
      this.#own.shift();
      this.#cluster.delete(oldest);
    }
  }

  /** The same by several workloads at once: what counts those of all tenants has enough of it. */
  insist(attack: Attack): void {
    for (let seed = 0; seed < MOST_WORKLOADS; seed += 1) {
      this.#deploy(this.#drafts[attack](createRandom(seed)));
    }
  }

  #texts(random: () => number): TextFacts {
    return { prefix: PREFIX, victims: this.#listVictims(), random, mostRepeats: MOST_REPEATS };
  }

  #listVictims(): readonly Victim[] {
    return REPOSITORIES.flatMap((repository) =>
      TAGS.map((tag) => {
        const find = (name: string): string =>
          this.#registries.find({ host: HOSTS.source, repository, tag: name }) ?? `sha256:${'9'.repeat(64)}`;
        return {
          host: HOSTS.source,
          repository,
          tag,
          digest: find(tag),
          otherDigest: find(OTHER_TAG),
        };
      }),
    );
  }

  #draftText(random: () => number): Draft {
    const texts = this.#texts(random);
    return {
      what: 'a text',
      image: makeImageText(texts).slice(0, LONGEST_TEXT),
      annotations: shorten(makeAnnotations(texts, Date.now())),
    };
  }

  #draftHold(random: () => number): Draft {
    return {
      what: 'a forged hold',
      image: `${HOSTS.source}/${pickFrom(REPOSITORIES, random)}:${pickFrom(TAGS, random)}`,
      annotations: forgeHold(this.#texts(random), Date.now()),
    };
  }

  #draftOther(random: () => number): Draft {
    const image = `${HOSTS.source}/${pickFrom(REPOSITORIES, random)}:${OTHER_TAG}`;
    return { what: 'what a pull request has built', image, annotations: {} };
  }

  #rewrite(own: ModelWorkload, random: () => number): void {
    const texts = this.#texts(random);
    this.#tell(`the hostile tenant writes into the annotations of ${own.name}`);
    const status = { [annotationKey('status')]: makeStatus(texts, Date.now()) };
    this.#cluster.annotate(own, shorten(random() < 0.5 ? status : makeAnnotations(texts, Date.now())));
  }

  #change(own: ModelWorkload, random: () => number): void {
    const image = random() < 0.5 ? this.#draftOther(random).image : this.#draftHold(random).image;
    this.#tell(`the hostile tenant changes the image of ${own.name} to ${image}`);
    this.#cluster.apply(own, { app: image });
  }

  /** Its ready pods say of the image of others that it is another one. */
  #showOther(own: ModelWorkload, random: () => number): void {
    const { host, repository, otherDigest } = pickFrom(this.#listVictims(), random);
    this.#tell(`pods of ${own.name} show ${repository}@${otherDigest.slice(0, 20)}`);
    for (const pod of own.pods.filter(isReady)) {
      pod.states = Object.fromEntries(
        Object.entries(pod.states).map(([container, state]) => [
          container,
          state.is === 'not pulled' ? state : { ...state, imageId: `${host}/${repository}@${otherDigest}` },
        ]),
      );
    }
    this.#cluster.touch(own.name);
  }
}

function shorten(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).map(([key, text]) => [key, text.slice(0, 4_000)]));
}
