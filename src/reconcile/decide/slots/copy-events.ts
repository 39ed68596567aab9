import { formatReference, quote } from '../../../images/reference.ts';
import { type SwapRecord, slotKey } from '../../../workloads/record.ts';
import {
  type CopyState,
  type FailedCopy,
  type SourceChange,
  type VerifiedCopy,
  isForOnePlatform,
} from '../../copies/copy-state.ts';
import { createEvent } from '../../events/create-event.ts';
import type { Slot } from '../../../workloads/workload.ts';
import type { ObjectEvent } from '../../events/object-event.ts';
import { findOther, type CopiedSlot, type PlannedSlot, type SlotPlan } from './planned-slot.ts';

function planUncheckedEvent(
  slot: Slot,
  { problem, provenAtMs }: { readonly problem: string; readonly provenAtMs?: number | undefined },
): ObjectEvent {
  const proof = provenAtMs === undefined ? '' : ` It was there at ${new Date(provenAtMs).toISOString()}.`;
  return createEvent(
    'CopyNotChecked',
    `Whether the backup still has the copy that ${slotKey(slot)} runs from cannot be told (${problem}).${proof} The pods go on. ` +
      'It is tried again when config.json changes, and within the hour.',
  );
}

/** A registry that cannot be asked for a while says nothing about a copy in use. */
function planFailedEvent(plan: CopiedSlot, failure: FailedCopy): ObjectEvent | undefined {
  const { is, slot } = plan;
  const { reason, message, isFinal, isMissing = false } = failure;
  const name = slotKey(slot);
  if (is === 'backed up' && !isFinal) {
    return undefined;
  }
  if (is === 'backed up' && !isMissing) {
    return planUncheckedEvent(slot, { problem: `${reason}: ${message}` });
  }
  if (is === 'backed up') {
    return createEvent(
      'CopyMissing',
      `The copy that ${name} runs from is not in the backup any more, or not all of it, and cannot be made again (${reason}): ${message}. ` +
        'The nodes that run it may have the last copy.',
    );
  }
  return createEvent(
    'CopyFailed',
    `Image of ${name} is not backed up (${reason}): ${message}. The workload stays as it is.${describeWays(plan, failure)}`,
  );
}

/** What becomes of it, and what a person can do. */
function describeWays(
  { slot, isOfUnknownBackup = false }: CopiedSlot,
  { side, isFinal }: FailedCopy,
): string {
  const next = isFinal
    ? ' It is tried again when config.json changes or the workload rolls out, and within the hour.'
    : ' It is tried again by itself.';
  return isOfUnknownBackup && side === 'source'
    ? ` It runs from ${quote(slot.image)}: if copies were there before REGISTRY_PREFIX was changed, name that prefix in FORMER_PREFIXES, ` +
        `and what its source does not have is copied from there.${next}`
    : next;
}

function planOtherImageEvent({ slot, request }: CopiedSlot, imageId: string): ObjectEvent {
  const what = imageId === '' ? 'an image that they do not tell' : quote(imageId);
  return createEvent(
    'OtherImageRuns',
    `Ready pods run ${what} in ${slotKey(slot)}, which is not known to be ${formatReference(request.source)}: ` +
      'it was loaded into the node, the node or a policy takes it from somewhere else, or pods run different images. ' +
      'A swap might change what runs, so the workload stays as it is. Write the image as it is called at its registry, ' +
      'or restart the rollout so that all pods run the same.',
  );
}

function planSourceChangeEvent({ slot, request }: CopiedSlot, change: SourceChange): ObjectEvent {
  const source = formatReference(request.source);
  const name = slotKey(slot);
  if (change.is === 'gone') {
    const note = `${source} does not exist at its source any more. Nothing is lost: ${name} runs from the backup.`;
    return createEvent('SourceGone', note);
  }
  const note =
    `${source} means another image at its source now, which is backed up as ${change.copy.image}. ` +
    `${name} goes on with the image it has; ON_SOURCE_CHANGE=swap would change that.`;
  return createEvent('TagMoved', note);
}

/** The source lacks a part of the image, and so does the copy. */
function planIncompleteEvents(
  { slot, request }: CopiedSlot,
  { absent }: VerifiedCopy,
): readonly ObjectEvent[] {
  if (!absent) {
    return [];
  }
  const note =
    `The source of ${slotKey(slot)} has ${formatReference(request.source)}, but not all that it names: ${absent.missing}. ` +
    `What there is was copied, for ${absent.platforms.join(', ')}. A pod on a node of another platform could not start, with ` +
    'or without the backup. Push the image there again with all its platforms.';
  return [createEvent('CopyIncomplete', note)];
}

function planReferrersEvents(
  { slot }: CopiedSlot,
  { referrersProblem: problem }: VerifiedCopy,
): readonly ObjectEvent[] {
  if (problem === undefined) {
    return [];
  }
  const note =
    `The image of ${slotKey(slot)} is backed up, but not all of its signatures, attestations and SBOMs: ${problem}. ` +
    'They are tried again with every re-check.';
  return [createEvent('ReferrersNotCopied', note)];
}

function planVerifiedEvents(
  plan: CopiedSlot,
  copy: VerifiedCopy,
  record: SwapRecord,
): readonly ObjectEvent[] {
  const incomplete = [...planIncompleteEvents(plan, copy), ...planReferrersEvents(plan, copy)];
  if (plan.is !== 'backed up') {
    return incomplete;
  }
  const { checkProblem: problem, provenAtMs } = copy;
  const unchecked = problem === undefined ? [] : [planUncheckedEvent(plan.slot, { problem, provenAtMs })];
  // A backup that does not say what it has may have had it.
  const isRepaired = !copy.isUnseen && copy.copiedAtMs !== undefined && copy.copiedAtMs > record.swappedAtMs;
  const missing = copy.isCompleted ? 'A part of the copy' : 'The copy';
  const repair = createEvent(
    'CopyMissing',
    `${missing} that ${slotKey(plan.slot)} runs from was not in the backup any more, and was copied again. ` +
      'See what cleans up there.',
  );
  return [
    ...incomplete,
    ...unchecked,
    ...(isRepaired ? [repair] : []),
    ...(copy.sourceChange ? [planSourceChangeEvent(plan, copy.sourceChange)] : []),
  ];
}

/** Copies that are proven, and that not all nodes could start a pod from. */
export function planUncoveredEvents(
  slots: readonly PlannedSlot[],
  uncoveredPlatforms: readonly string[],
): readonly ObjectEvent[] {
  const copied = slots.filter(({ copy }) => copy?.phase === 'verified');
  if (uncoveredPlatforms.length === 0 || copied.length === 0) {
    return [];
  }
  const next = copied.some(({ plan }) => plan.is === 'to be backed up')
    ? 'a pod there could not start from the backup, so the workload stays as it is.'
    : 'a pod of this workload that comes there may not start.';
  const nodes = `The cluster has nodes of ${uncoveredPlatforms.join(', ')}, for which nothing is copied`;
  // What its source does not have, no setting can add.
  const isLacking = copied.some(({ copy }) => copy?.phase === 'verified' && copy.absent !== undefined);
  const remedy = isLacking ? 'See what the source of the image lacks.' : 'Add that to PLATFORMS.';
  return [createEvent('PlatformNotCopied', `${nodes}: ${next} ${remedy}`)];
}

/** Copies that are the manifest of one platform, in a cluster of several. */
export function planOnePlatformEvents(
  slots: readonly PlannedSlot[],
  nodePlatforms: readonly string[],
): readonly ObjectEvent[] {
  return (nodePlatforms.length > 1 ? slots : []).flatMap(({ plan, copy }) =>
    plan.is === 'to be backed up' && isForOnePlatform(copy)
      ? [
          createEvent(
            'PlatformNotCopied',
            `Pods run ${copy.digest} in ${slotKey(plan.slot)}, which is ${formatReference(plan.request.source)} for one ` +
              'platform. The index that it belonged to is not at its source any more. It is backed up, but the ' +
              `workload stays as it is: on another of its nodes (${nodePlatforms.join(', ')}) a pod could not start ` +
              'from the copy. Deploy what the tag means now, or let its pods run on one platform only ' +
              '(nodeSelector kubernetes.io/arch).',
          ),
        ]
      : [],
  );
}

/** Nothing is recorded of what the image is a copy of. */
function planUnexplainedEvents(slot: Slot, copy: CopyState | undefined): readonly ObjectEvent[] {
  const name = slotKey(slot);
  const way = 'Write the original into the template, and it is backed up and swapped like any other.';
  const isLost = copy?.phase === 'failed' && copy.isMissing === true;
  return isLost
    ? [
        createEvent(
          'CopyMissing',
          `The image that ${name} runs from is gone (${copy.message}), and nothing is recorded of what it is a copy of, so that it cannot ` +
            `be made again. The nodes that run it may have the last one. ${way}`,
        ),
      ]
    : [
        createEvent(
          'CopyUnexplained',
          `The image of ${name}, ${quote(slot.image)}, lies below REGISTRY_PREFIX, and nothing is recorded of what it is a copy of. ` +
            `It is left as it is, cannot be put back, and cannot be copied again when it is lost. ${way}`,
        ),
      ];
}

/** What the user of a workload should know about one slot of it, besides a swap. */
export function planEvents(
  plan: SlotPlan,
  copy: CopyState | undefined,
  record: SwapRecord,
): readonly ObjectEvent[] {
  if (plan.is === 'left alone') {
    return [];
  }
  if (plan.is === 'unexplained') {
    return planUnexplainedEvents(plan.slot, copy);
  }
  if (plan.is === 'refused') {
    return [createEvent(plan.reason, `Image of ${slotKey(plan.slot)} is not backed up: ${plan.message}.`)];
  }
  const other = findOther(plan, copy);
  if (other !== undefined) {
    return [planOtherImageEvent(plan, other)];
  }
  if (copy?.phase === 'failed') {
    const failure = planFailedEvent(plan, copy);
    return failure ? [failure] : [];
  }
  return copy?.phase === 'verified' ? planVerifiedEvents(plan, copy, record) : [];
}
