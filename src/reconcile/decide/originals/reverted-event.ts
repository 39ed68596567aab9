import { quote } from '../../../images/reference.ts';
import { FIELD_MANAGER, type ImageOwner } from '../../../workloads/image-owner.ts';
import { slotKey } from '../../../workloads/record.ts';
import { POLICY } from '../../../workloads/user-annotations.ts';
import type { Slot } from '../../../workloads/workload.ts';
import { createEvent } from '../../events/create-event.ts';
import type { ObjectEvent } from '../../events/object-event.ts';

/** What to configure where, by field manager; the first that matches. */
const ADVICE: readonly (readonly [manager: RegExp, advice: string])[] = [
  [
    /^argocd/u,
    `In the Argo CD Application, add ignoreDifferences with managedFieldsManagers: [${FIELD_MANAGER}] and the sync ` +
      'option RespectIgnoreDifferences=true',
  ],
  [
    /^kustomize-controller$/u,
    'In the Flux Kustomization, add the path of this image to spec.ignore (kustomize-controller 1.9 or newer)',
  ],
  [/^helm-controller$/u, 'In the Flux HelmRelease, add the path of this image to spec.driftDetection.ignore'],
  [
    /^helm$/u,
    'One revert per helm upgrade is normal: let the pipeline upgrade only when the chart or its values have changed',
  ],
  [
    /^kubectl/u,
    'Find what runs kubectl with this manifest again and again, and let it run only when the manifest has changed',
  ],
];

function findAdvice(manager: string): string {
  const known = ADVICE.find(([pattern]) => pattern.test(manager));
  return (
    known?.[1] ??
    `Configure the operator that writes as ${quote(manager)} to leave the image alone, or to use the copy itself`
  );
}

export interface Reverted {
  readonly slots: readonly Slot[];
  /** Undefined when nobody is known to have written the images. */
  readonly owner: ImageOwner | undefined;
  /** A person has done it, and once is enough. */
  readonly isByHand: boolean;
  readonly count: number;
  readonly untilMs: number;
}

/** Says who has put the originals back, and what to configure there. */
export function planRevertedEvent({ slots, owner, isByHand, count, untilMs }: Reverted): ObjectEvent {
  const manager = owner?.manager ?? 'somebody';
  const images = slots.map((slot) => `${quote(slot.image)} in ${slotKey(slot)}`).join(', ');
  const until = new Date(untilMs).toISOString();
  const note = isByHand
    ? `${manager} put back ${images}, as kubectl rollout undo does. That is respected until ${until}, ` +
      `then the workload is swapped again; a new image ends this earlier. To keep it, annotate ${POLICY}: copy.`
    : `${manager} put back ${images}, ${count} times within an hour. The workload is left alone until ${until}. ` +
      `${findAdvice(manager)}; see docs/gitops.md.`;
  return createEvent('SwapReverted', note);
}
