import { copyRepositoryOf, type Destination } from '../../images/copy-name.ts';
import { type Reference, findReference, isSameRepository } from '../../images/reference.ts';
import type { Pod, Slot, Workload } from '../../workloads/workload.ts';
import { listShown } from './template-pods.ts';

/** Distinct images of one slot, that is; more are as bad as two. */
const MOST_REPORTS = 16;

/** What the kubelet reports of an image that Ready pods run. */
export interface Report {
  /** As reported. */
  readonly imageId: string;
  /** Undefined for the bare id of an image that was loaded into a node: it says nothing. */
  readonly digest?: string;
  /** `source`: in the repository of the source, or in that of its copies. */
  readonly of: 'source' | 'elsewhere';
}

export interface RunningFacts extends Destination {
  readonly workload: Workload;
  readonly pods: readonly Pod[];
}

/** A node that has the same image under several names reports any of them: a pod of the source may be said to run the copy. */
function readReport(imageId: string, image: Reference, destination: Destination): Report {
  const reported = findReference(imageId.replace(/^[a-z-]+:\/\//, ''));
  if (reported?.digest === undefined) {
    return { imageId, of: 'elsewhere' };
  }
  const isOfSource =
    isSameRepository(reported, image) || isSameRepository(reported, copyRepositoryOf(image, destination));
  return { imageId, digest: reported.digest, of: isOfSource ? 'source' : 'elsewhere' };
}

/** What Ready pods of today's template run in a slot, each image once, the most frequent first. */
export function listReports(slot: Slot, image: Reference, facts: RunningFacts): readonly Report[] {
  const counts = new Map<string, number>();
  for (const { imageId } of listShown(slot, facts.workload, facts.pods)) {
    if (imageId !== '') {
      counts.set(imageId, (counts.get(imageId) ?? 0) + 1);
    }
  }
  return [...counts]
    .toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .slice(0, MOST_REPORTS)
    .map(([imageId]) => readReport(imageId, image, facts));
}

/** Whether a pod has the image text of the slot. */
export function holdsImage({ containers }: Pod, { name, image }: Slot): boolean {
  return containers.some((container) => container.name === name && container.image === image);
}

/** A tag that was resolved, or left out, is still the same image to look for; another repository is not. */
export function findRewritten(slot: Slot, image: Reference, facts: RunningFacts): string | undefined {
  const isOther = (text: string): boolean => {
    const found = text === slot.image ? image : findReference(text);
    return !found || !isSameRepository(found, image);
  };
  return listShown(slot, facts.workload, facts.pods)
    .map((container) => container.image)
    .find(isOther);
}
