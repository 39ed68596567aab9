import { type Destination, isInCopyRepositoryOf } from '../../../images/copy-name.ts';
import { type Reference, findReference, isSameImage, isSameRepository } from '../../../images/reference.ts';
import { KINDS } from '../../../workloads/kinds.ts';
import { isRolledOut } from '../../../workloads/rollout.ts';
import type { Pod, PodContainer, Slot, Workload } from '../../../workloads/workload.ts';
import { listShown } from '../pods/template-pods.ts';

/** Distinct images of one slot, that is; more are as bad as two. */
const MOST_REPORTS = 16;

/** What the kubelet reports of an image that Ready pods run. */
export interface Report {
  /** As reported. */
  readonly imageId: string;
  /** Undefined for the bare id of an image that was loaded into a node: it says nothing. */
  readonly digest?: string;
  /** `source`: in the repository of the source, or in that of its copies below the prefix of today. */
  readonly of: 'source' | 'elsewhere';
}

export interface RunningFacts extends Destination {
  readonly workload: Workload;
  readonly pods: readonly Pod[];
  /** What the slot holds, and what that is a copy of, or itself. */
  readonly image: Reference;
  readonly source: Reference;
}

/**
 * A node that has the same image under several names reports any of them: a pod of the source may be said to run the copy,
 * and the other way round. Where admission has written another repository, none of them proves anything; nor does what a
 * record calls a copy and lies below another prefix, which may be anybody's.
 */
function readReport({ imageId, image: text }: PodContainer, facts: RunningFacts): Report {
  const { image, source, prefix } = facts;
  const reported = findReference(imageId.replace(/^[a-z-]+:\/\//, ''));
  if (reported?.digest === undefined) {
    return { imageId, of: 'elsewhere' };
  }
  const isOfSource = isSameRepository(reported, source) || isInCopyRepositoryOf(reported, source, prefix);
  const isOwn = isOfSource && !isRewritten(text, image);
  return { imageId, digest: reported.digest, of: isOwn ? 'source' : 'elsewhere' };
}

/** A tag that was resolved, or left out, is still the same image to look for; another repository is not. */
function isRewritten(text: string, image: Reference): boolean {
  const found = findReference(text);
  return !found || !isSameRepository(found, image);
}

/** What Ready pods of today's template run in a slot, each image once, the most frequent first. */
export function listReports(slot: Slot, facts: RunningFacts): readonly Report[] {
  const counts = new Map<string, { readonly report: Report; readonly count: number }>();
  for (const container of listShown(slot, facts.workload, facts.pods)) {
    const report = readReport(container, facts);
    const key = `${report.of} ${report.imageId}`;
    if (report.imageId !== '') {
      counts.set(key, { report, count: (counts.get(key)?.count ?? 0) + 1 });
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

/** Whether a pod has the image of the slot; admission may have dropped its tag. */
export function holdsImage({ containers }: Pod, { name, image }: Slot): boolean {
  return containers.some((container) => container.name === name && isSameImage(container.image, image));
}

/** The image text of another repository that admission has written into the slot of a Ready pod. */
export function findRewritten(slot: Slot, { workload, pods, image }: RunningFacts): string | undefined {
  return listShown(slot, workload, pods)
    .map((container) => container.image)
    .find((text) => text !== slot.image && isRewritten(text, image));
}
