import type { CopyRequest } from './copy-state.ts';

/** Distinct images of one copy, that is; more say no more. */
const MOST_REPORTS = 32;
const NONE: readonly string[] = [];

/** Proof is more than knowing that there will be none, and that is more than not knowing. */
function rankProof({ isProven, isUnprovable = false }: CopyRequest): number {
  return isProven ? 2 : Number(isUnprovable);
}

/** The same list when the other has nothing to add. */
function unite(known: readonly string[] = [], other: readonly string[] = []): readonly string[] {
  const all = [...new Set([...known, ...other])].slice(0, MOST_REPORTS);
  return all.length > known.length ? all : known;
}

/** The one that pods show, or the first. */
function uniteFormer(known: CopyRequest, other: CopyRequest): Pick<CopyRequest, 'former'> {
  const isBetter = known.former === undefined || (!known.former.isShown && other.former?.isShown === true);
  const former = isBetter ? other.former : known.former;
  return former ? { former } : {};
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
    former: uniteFormer(known, other),
    reported: unite(reported, other.reported),
    elsewhere: unite(elsewhere, other.elsewhere),
  };
}

/** The same request when the other has nothing to add: neither proof, nor doubts, nor what pods report. */
export function mergeRequests(known: CopyRequest, other: CopyRequest): CopyRequest {
  const { proof, doubt, former, reported, elsewhere } = uniteAll(known, other);
  const areReportsSame = reported === (known.reported ?? NONE) && elsewhere === (known.elsewhere ?? NONE);
  const isSame = doubt.isDoubted === known.isDoubted && former.former === known.former;
  if (proof === known && isSame && areReportsSame) {
    return known;
  }
  const reports = { ...(reported.length > 0 && { reported }), ...(elsewhere.length > 0 && { elsewhere }) };
  return { ...proof, ...doubt, ...former, ...reports };
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
