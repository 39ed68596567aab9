import { formatReference } from '../../images/reference.ts';
import type { CopyRequest, FormerCopy } from './copy-state.ts';

/** Distinct images of one copy, that is; more say no more. */
const MOST_REPORTS = 32;
/** Each is asked when the source does not give the image out. */
const MOST_FORMERS = 8;
const NONE: readonly string[] = [];
const NO_FORMERS: readonly FormerCopy[] = [];

/** Proof is more than knowing that there will be none, and that is more than not knowing. */
function rankProof({ isProven, isUnprovable = false }: CopyRequest): number {
  return isProven ? 2 : Number(isUnprovable);
}

/** The same list when the other has nothing to add. */
function unite(known: readonly string[] = [], other: readonly string[] = []): readonly string[] {
  const all = [...new Set([...known, ...other])].slice(0, MOST_REPORTS);
  return all.length > known.length ? all : known;
}

/**
 * Those that pods show first. A workload can name any place where its copy could have been: one at which there is nothing must
 * not take the place of another.
 */
function uniteFormers(
  known: readonly FormerCopy[] = NO_FORMERS,
  others: readonly FormerCopy[] = NO_FORMERS,
): readonly FormerCopy[] {
  const byPlace = new Map<string, FormerCopy>();
  for (const former of [...known, ...others]) {
    const place = formatReference(former.image);
    const before = byPlace.get(place);
    if (!before || (former.isShown && !before.isShown)) {
      byPlace.set(place, former);
    }
  }
  const all = [...byPlace.values()].toSorted((a, b) => Number(b.isShown) - Number(a.isShown));
  const kept = all.slice(0, MOST_FORMERS);
  const isSame = kept.length === known.length && kept.every((one, index) => one === known[index]);
  return isSame ? known : kept;
}

function uniteDoubts(known: CopyRequest, other: CopyRequest): Pick<CopyRequest, 'isDoubted'> {
  return known.isDoubted === true || other.isDoubted === true ? { isDoubted: true } : {};
}

/** Each field is that of the known request when the other has nothing to add. */
function uniteAll(known: CopyRequest, other: CopyRequest) {
  const { reported = NONE, elsewhere = NONE } = known;
  return {
    proof: rankProof(other) > rankProof(known) ? other : known,
    doubt: uniteDoubts(known, other),
    formers: uniteFormers(known.formers, other.formers),
    reported: unite(reported, other.reported),
    elsewhere: unite(elsewhere, other.elsewhere),
  };
}

type UnitedRequests = ReturnType<typeof uniteAll>;

function isAsBefore(
  known: CopyRequest,
  { proof, doubt, formers, reported, elsewhere }: UnitedRequests,
): boolean {
  const areReportsSame = reported === (known.reported ?? NONE) && elsewhere === (known.elsewhere ?? NONE);
  const areFormersSame = formers === (known.formers ?? NO_FORMERS);
  return proof === known && doubt.isDoubted === known.isDoubted && areFormersSame && areReportsSame;
}

/** The same request when the other has nothing to add: neither proof, nor doubts, nor places, nor what pods report. */
export function mergeRequests(known: CopyRequest, other: CopyRequest): CopyRequest {
  const united = uniteAll(known, other);
  if (isAsBefore(known, united)) {
    return known;
  }
  const { proof, doubt, formers, reported, elsewhere } = united;
  return {
    ...proof,
    ...doubt,
    ...(formers.length > 0 && { formers }),
    ...(reported.length > 0 && { reported }),
    ...(elsewhere.length > 0 && { elsewhere }),
  };
}

function isAmong(known: readonly string[] = NONE, others: readonly string[] = NONE): boolean {
  return others.every((one) => known.includes(one));
}

/**
 * Whether an outcome was found with all doubts in mind, and all that pods report now; proof does not make a verified copy
 * another one.
 */
export function covers(
  settledFor: CopyRequest | undefined,
  { reported, elsewhere, isDoubted }: CopyRequest,
): boolean {
  return (
    settledFor !== undefined &&
    (isDoubted !== true || settledFor.isDoubted === true) &&
    isAmong(settledFor.reported, reported) &&
    isAmong(settledFor.elsewhere, elsewhere)
  );
}
