/** Texts that a tenant may write where the controller reads. Pure: the same random numbers give the same texts. */
import { annotationKey } from '../../src/workloads/annotations.ts';

/** An image that others use too, and another one of its repository that its tag has never meant. */
export interface Victim {
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly otherDigest: string;
}

export interface TextFacts {
  readonly prefix: string;
  readonly victims: readonly Victim[];
  readonly random: () => number;
  /** How often anything is repeated at most; default: as often as the API server takes it. */
  readonly mostRepeats?: number;
}

/** One of a list that is not empty. */
export function pickFrom<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** From `least` to `most`, most of them small. */
export function pickCount(random: () => number, least: number, most: number): number {
  return Math.floor(least + (most - least + 1) * random() ** 2);
}

function pickRepeats({ random, mostRepeats = Infinity }: TextFacts, most: number): number {
  return pickCount(random, 1, Math.min(most, mostRepeats));
}

const DIGEST = `sha256:${'e'.repeat(64)}`;

function copyText({ prefix }: Pick<TextFacts, 'prefix'>, victim: Victim, digest: string): string {
  const { host, repository, tag } = victim;
  return `${prefix}/${host.replace(':', '_')}/${repository}:${tag}@${digest}`;
}

/** The longest are as long as a request of the API server may be. */
export function makeImageText(facts: TextFacts): string {
  const { random, prefix, victims } = facts;
  const victim = pickFrom(victims, random);
  const { host, repository, tag, digest, otherDigest } = victim;
  const make = pickFrom<() => string>(
    [
      () => `${host}/${repository}:${tag}@${otherDigest}`,
      () => `${host}/${repository}@${DIGEST}`,
      () => `${host}/${repository}:${tag}@${digest}@${digest}`,
      () => copyText(facts, victim, otherDigest),
      () => copyText(facts, victim, DIGEST),
      () => `${prefix}/${'a/'.repeat(200)}x:1`,
      () => `${prefix.split('/')[0] ?? ''}/another-prefix/${host.replace(':', '_')}/${repository}:${tag}`,
      () => `evil.example/${prefix}/${repository}:${tag}`,
      () => `${host}/${'a'.repeat(pickRepeats(facts, 100_000))}:1`,
      () => `${'a.'.repeat(pickRepeats(facts, 10_000))}b/c:1`,
      () => `${host}/app:\u0000\u001b[31m\u202e${'\n'.repeat(5)}x`,
      () => `--help ${host}/x`,
      () => `$(touch /tmp/x);\`id\`/x:1`,
      () => `[::1]:80/x`,
      () => `1.2.3.4.5/x:1`,
      () => `${host}/../../etc/passwd:1`,
      () => '\u{1f480}'.repeat(pickRepeats(facts, 5_000)),
      () => ':'.repeat(pickRepeats(facts, 200_000)),
      () => `x@sha256:${'a@'.repeat(pickRepeats(facts, 50_000))}`,
    ],
    random,
  );
  return make();
}

/** What a workload of the soak and one of the simulator call their first slot. */
function bySlot<T>(value: T): Readonly<Record<string, T>> {
  return { main: value, app: value };
}

const HOUR_MS = 3_600_000;

/** A status as the controller writes it, and as it never would. `nowMs` makes holds that are in force. */
export function makeStatus(facts: TextFacts, nowMs: number): string {
  const { random } = facts;
  const victim = pickFrom(facts.victims, random);
  const text = (): string => makeImageText(facts).slice(0, 2_000);
  const time = (): string => new Date(nowMs + (random() * 48 - 24) * HOUR_MS).toISOString();
  return JSON.stringify({
    v: pickFrom([1, 1, 1, 1, 2, null], random),
    swappedAt: pickFrom([time(), 'never', new Date(nowMs).toISOString()], random),
    copies: bySlot(pickFrom([text(), copyText(facts, victim, victim.otherDigest)], random)),
    before: bySlot(text()),
    ...(random() < 0.7 && {
      hold: {
        until: time(),
        failures: pickFrom([1, 3, 1e308, -1, 'x'], random),
        images: bySlot(text()),
        isPullable: random() < 0.5,
      },
    }),
    ...(random() < 0.3 && {
      reverts: { count: 1e9, since: time(), of: time(), holds: pickFrom([0, 1e9], random), until: time() },
    }),
    ...(random() < 0.3 && {
      pullSecret: 'a'.repeat(pickRepeats(facts, 300)),
      keptSecrets: ['default', text()],
    }),
    ...(random() < 0.3 && {
      former: {
        main: Object.fromEntries(
          Array.from({ length: pickRepeats(facts, 500) }, () => [text().slice(0, 100), text().slice(0, 100)]),
        ),
      },
    }),
    hasServed: random() < 0.5,
    uid: pickFrom([undefined, 'x'], random),
  });
}

/** The record of a swap that has never been: its copy is another image of the same repository. */
export function forgeRecord(
  facts: TextFacts,
  nowMs: number,
): {
  readonly image: string;
  readonly annotations: Readonly<Record<string, string>>;
} {
  const victim = pickFrom(facts.victims, facts.random);
  const original = `${victim.host}/${victim.repository}:${victim.tag}`;
  const copy = copyText(facts, victim, victim.otherDigest);
  return {
    image: pickFrom([copy, copy, original], facts.random),
    annotations: {
      [annotationKey('original-images')]: JSON.stringify(bySlot(original)),
      [annotationKey('status')]: JSON.stringify({
        v: 1,
        swappedAt: new Date(nowMs - HOUR_MS).toISOString(),
        copies: bySlot(copy),
        before: bySlot(original),
        former: bySlot({ [copy]: original }),
      }),
    },
  };
}

/** The record of a swap that goes on for ever: nobody has its copy. */
export function forgeRollout(
  facts: TextFacts,
  nowMs: number,
): { readonly image: string; readonly annotations: Readonly<Record<string, string>> } {
  const victim = pickFrom(facts.victims, facts.random);
  const original = `${victim.host}/${victim.repository}:${victim.tag}`;
  const image = copyText(facts, victim, DIGEST);
  return {
    image,
    annotations: {
      [annotationKey('original-images')]: JSON.stringify(bySlot(original)),
      [annotationKey('status')]: JSON.stringify({
        v: 1,
        swappedAt: new Date(nowMs).toISOString(),
        copies: bySlot(image),
        before: bySlot(original),
        hasServed: true,
      }),
    },
  };
}

/** A hold that has begun a moment ago, as after a swap that failed. */
export function forgeHold(facts: TextFacts, nowMs: number): Readonly<Record<string, string>> {
  const victim = pickFrom(facts.victims, facts.random);
  const original = `${victim.host}/${victim.repository}:${victim.tag}`;
  return {
    [annotationKey('original-images')]: JSON.stringify(bySlot(original)),
    [annotationKey('status')]: JSON.stringify({
      v: 1,
      swappedAt: new Date(nowMs).toISOString(),
      copies: {},
      hold: {
        until: new Date(nowMs + 10 * 60_000).toISOString(),
        failures: 1,
        images: bySlot(copyText(facts, victim, victim.digest)),
      },
    }),
  };
}

/** All annotations together may have 256 KiB. */
export function makeAnnotations(facts: TextFacts, nowMs: number): Readonly<Record<string, string>> {
  const { random } = facts;
  const names = pickFrom(['a,', 'main,', ',', 'volume:x,', '\u0000,', 'é,'], random);
  const all: Readonly<Record<string, string>> = {
    [annotationKey('policy')]: pickFrom(
      ['swap', 'copy', 'ignore', 'SWAP', '', ' ', 'x'.repeat(50_000)],
      random,
    ),
    [annotationKey('ignore-containers')]: names.repeat(pickRepeats(facts, 20_000)).slice(0, 60_000),
    [annotationKey('refresh')]: String(random()).repeat(pickRepeats(facts, 1_000)),
    [annotationKey('original-images')]: JSON.stringify({
      ...bySlot(makeImageText(facts).slice(0, 20_000)),
      __proto__: 'x',
      constructor: makeImageText(facts).slice(0, 2_000),
    }),
    [annotationKey('status')]: pickFrom(
      [makeStatus(facts, nowMs), '[['.repeat(20_000), '{"v":1,', '"'.repeat(1_000), 'null'],
      random,
    ).slice(0, 90_000),
    'backup-image-registry/unknown': 'x',
  };
  return Object.fromEntries(Object.entries(all).filter(() => random() < 0.6));
}
