import { type Destination, isInCopyRepositoryOf } from '../../../images/copy-name.ts';
import { type Reference, findReference, isSameRepository } from '../../../images/reference.ts';
import { KINDS } from '../../../workloads/kinds.ts';
import { isRolledOut } from '../../../workloads/rollout.ts';
import type { Pod, PodContainer, Slot, Workload } from '../../../workloads/workload.ts';
import type { ShownContainers } from '../pods/template-pods.ts';

/** Distinct images of one slot, that is; more are as bad as two. */
const MOST_REPORTS = 16;
/** What thousands of pods may say differently of one slot is read so far. */
const MOST_READ = 64;

/** What the kubelet reports of an image that Ready pods run. */
export interface Report {
  /** As reported. */
  readonly imageId: string;
  /** Undefined for the bare id of an image that was loaded into a node: it says nothing. */
  readonly digest?: string;
  /** `source`: in the repository of the source, or in that of its copies below the prefix of today. */
  readonly of: 'source' | 'elsewhere';
  /** The pod has the very image of the slot in its spec, whatever name of it the node reports. */
  readonly isAsWritten?: boolean;
}

export interface RunningFacts extends Destination {
  readonly workload: Workload;
  readonly pods: readonly Pod[];
  /** Of these pods. */
  readonly shown: ShownContainers;
  /** What the slot holds, and what that is a copy of, or itself. */
  readonly image: Reference;
  readonly source: Reference;
}

/**
 * A node that has the same image under several names reports any of them: a pod of the source may be said to run the copy,
 * and the other way round. Where admission has written another repository, none of them proves anything; nor does what a
 * record calls a copy and lies below another prefix, which may be anybody's.
 */
function readReport(
  { imageId, image: text }: PodContainer,
  facts: Omit<RunningFacts, 'workload' | 'pods'>,
): Report {
  const { image, source, prefix } = facts;
  const reported = findReference(imageId.replace(/^[a-z-]+:\/\//, ''));
  if (reported?.digest === undefined) {
    return { imageId, of: 'elsewhere' };
  }
  const isOfSource = isSameRepository(reported, source) || isInCopyRepositoryOf(reported, source, prefix);
  const isAsWritten = !isRewritten(text, image);
  const of = isOfSource && isAsWritten ? 'source' : 'elsewhere';
  return { imageId, digest: reported.digest, of, ...(isAsWritten && { isAsWritten }) };
}

/** A tag that was resolved, or left out, is still the same image to look for; another repository is not. */
function isRewritten(text: string, image: Reference): boolean {
  const found = findReference(text);
  return !found || !isSameRepository(found, image);
}

/** Containers of the same image that report the same, the most frequent first. */
function groupAlike(containers: readonly PodContainer[]): readonly (readonly PodContainer[])[] {
  const told = containers.filter(({ imageId }) => imageId !== '');
  const byReport = Map.groupBy(told, ({ imageId }) => imageId);
  const groups = [...byReport.values()].flatMap((same) => [
    ...Map.groupBy(same, ({ image }) => image).values(),
  ]);
  return groups.toSorted((a, b) => b.length - a.length).slice(0, MOST_READ);
}

/** What Ready pods of today's template run in a slot, each image once, the most frequent first. */
export function listReports(slot: Slot, facts: Omit<RunningFacts, 'workload' | 'pods'>): readonly Report[] {
  const counts = new Map<string, { readonly report: Report; readonly count: number }>();
  for (const alike of groupAlike(facts.shown(slot))) {
    const [container] = alike;
    const report = container && readReport(container, facts);
    const key = report && `${report.of} ${report.isAsWritten === true} ${report.imageId}`;
    if (report && key !== undefined) {
      counts.set(key, { report, count: (counts.get(key)?.count ?? 0) + alike.length });
    }
  }
  return [...counts.values()]
    .toSorted((a, b) => b.count - a.count || a.report.imageId.localeCompare(b.report.imageId))
    .slice(0, MOST_REPORTS)
    .map(({ report }) => report);
}

/** Whether no Ready pod of a workload that is rolled out tells what it runs in a slot. Of image volumes, none ever does. */
export function isUnseen(
  { place }: Slot,
  { workload, pods }: Pick<RunningFacts, 'workload' | 'pods'>,
  reports: readonly Report[],
): boolean {
  const isAsked = place !== 'volumes' && KINDS[workload.kind].rollsOut && isRolledOut(workload);
  return isAsked && reports.length === 0 && pods.some(({ ready }) => ready);
}

/** The image text of another repository that admission has written into the slot of a Ready pod. */
export function findRewritten(slot: Slot, { shown, image }: RunningFacts): string | undefined {
  const texts = new Set(shown(slot).map((container) => container.image));
  texts.delete(slot.image);
  return [...texts].slice(0, MOST_READ).find((text) => isRewritten(text, image));
}
