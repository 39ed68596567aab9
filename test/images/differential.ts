import { InvalidImageError } from '../../src/errors.ts';
import { formatReference, parseReference } from '../../src/images/reference.ts';
import { vectors } from './vectors.ts';

/** One line of the filter in test/tools/reference: what distribution/reference says of one text. */
export interface LibraryAnswer {
  readonly host: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
  readonly canonical: string;
  readonly error?: string;
}

export interface Disagreement {
  readonly text: string;
  readonly library: string;
  readonly ours: string;
}

/** Separators most of all, because a grammar goes wrong there; letters of every class; traps of JavaScript; words. */
const PIECES = [
  ...'::://///@@...---___[]'.split(''),
  ...'aAzZ09fFgG'.split(''),
  ...' \t\n\r\0\u001B\u007F\u0085\u00A0\u2028\uFEFFſKıİéх🐋\uD800+%$~\\"'.split(''),
  'library/ docker.io/ index.docker.io/ localhost constructor __proto__ [::1]'.split(' '),
  '-- __ ___ .. ._ -_ .- _- :: :// :5000/ :65536/ :0/ sha256: @sha512:'.split(' '),
  'a'.repeat(64),
].flat();

/** Texts around the border between valid and invalid; the same for the same seed. */
export function generateReferenceTexts(seed: number, count: number): string[] {
  const below = createRandom(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item;
  const invalid = vectors.invalid.map(({ input }) => input);
  const valid = vectors.valid.map(({ input }) => input);
  const mutate = (text: string): string => {
    const at = below(text.length + 1);
    const end = at + below(3);
    switch (below(6)) {
      case 0:
        return text.slice(0, at) + text.slice(end);
      case 1:
        return text.slice(0, at) + pick(PIECES) + text.slice(end);
      case 2:
        return text.slice(0, at) + pick(valid).slice(below(20));
      case 3:
        return text.slice(0, at) + text.slice(at, end).toUpperCase() + text.slice(end);
      case 4:
        return text.slice(0, end) + text.slice(at);
      default:
        return text.slice(0, at) + pick(PIECES) + text.slice(at);
    }
  };
  return Array.from({ length: count }, () => {
    let text = below(4) === 0 ? pick(invalid) : pick(valid);
    for (let left = below(4); left >= 0; left -= 1) {
      text = mutate(text);
    }
    return text;
  });
}

/** Texts on which our grammar and the library differ, other than by the refusals that are meant. */
export function findDisagreements(
  texts: readonly string[],
  answers: readonly LibraryAnswer[],
): Disagreement[] {
  return texts.flatMap((text, index) => {
    const answer = answers[index] ?? { host: '', repository: '', canonical: '', error: 'no answer' };
    const library = answer.error === undefined && isUsable(text, answer) ? spell(answer) : 'refused';
    const ours = spellOurs(text);
    return ours === library ? [] : [{ text, library: answer.error ?? library, ours }];
  });
}

/** What we refuse although the library takes it; written differently from the code under test. */
export function isUsable(text: string, { host }: Pick<LibraryAnswer, 'host'>): boolean {
  if (host === '' || text.length > 1_000) {
    return false;
  }
  if (host.startsWith('[')) {
    return URL.canParse(`ws://${host}`) && !/:0+$/.test(host);
  }
  const [name = '', port = '1'] = host.split(':');
  const digits = port.replace(/^0+/, '');
  return /^\d{1,5}$/.test(digits) && Number(digits) < 65_536 && name.length < 254 && !/[^.]{64}/.test(name);
}

function spell({ host, repository, tag, digest, canonical }: LibraryAnswer): string {
  return JSON.stringify([host, repository, tag ?? '', digest ?? '', canonical]);
}

function spellOurs(text: string): string {
  try {
    const reference = parseReference(text);
    return spell({ ...reference, canonical: formatReference(reference) });
  } catch (error) {
    if (error instanceof InvalidImageError) {
      return 'refused';
    }
    throw error;
  }
}

/** Mulberry32: whole numbers below a limit. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
