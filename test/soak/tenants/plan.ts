import { createRandom, shuffle } from '../../support/random.ts';

/** One thing that the hostile tenant does. What exactly follows from its own seed, so that it can be done again alone. */
export interface HostileAct<Name extends string> {
  readonly name: Name;
  readonly seed: number;
}

/** Endless, and the same for the same seed. All names come once, in a new order, before any comes again. */
export function* planActs<Name extends string>(
  names: readonly Name[],
  seed: number,
): Generator<HostileAct<Name>, never> {
  const random = createRandom(seed);
  for (;;) {
    for (const name of shuffle(names, random)) {
      yield { name, seed: Math.floor(random() * 2 ** 31) };
    }
  }
}
