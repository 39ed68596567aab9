import { KINDS } from '../../../workloads/kinds.ts';
import { type SwapRecord, findSwappedSlots, slotKey } from '../../../workloads/record.ts';
import { isRolledOut } from '../../../workloads/rollout.ts';
import type { FormerTemplate, Pod, PodContainer, Slot, Workload } from '../../../workloads/workload.ts';

/**
 * A pod is told by its owner and its template, and a container by its name. The image texts of a pod prove nothing:
 * admission may have written others into it.
 */
export interface TemplateFacts {
  readonly workload: Workload;
  readonly record: SwapRecord;
  /** What pods of the newest template have as `Pod.template`, as far as that had to be asked for. */
  readonly newestTemplates?: ReadonlySet<string> | undefined;
}

function findContainer(pod: Pod, { place, name }: Slot): PodContainer | undefined {
  return place === 'volumes' ? undefined : pod.containers.find((container) => container.name === name);
}

function findImage(pod: Pod, slot: Slot): string | undefined {
  return slot.place === 'volumes'
    ? pod.volumes?.find(({ name }) => name === slot.name)?.image
    : findContainer(pod, slot)?.image;
}

/** One that nobody has made, or somebody else who selects the same labels, is not ours. */
function isOwn({ made, template }: Pod, { kind, name, uid }: Workload): boolean {
  if (kind === 'CronJob') {
    return true;
  }
  return kind === 'Deployment'
    ? made !== undefined && template !== undefined && made.by.name === `${name}-${template}`
    : made?.by.uid === uid;
}

/** A Job is called after the minute that it was due: one that was due after the swap was made of it. */
function isOfLaterRun({ made }: Pod, { workload, record }: TemplateFacts): boolean {
  const MINUTE_MS = 60_000;
  const minutes = workload.kind === 'CronJob' ? Number(made?.by.name.split('-').at(-1)) : Number.NaN;
  return minutes * MINUTE_MS >= record.swappedAtMs;
}

/**
 * Whether a pod was made of today's template, be it that of an undo. Undefined while only the ReplicaSets of the Deployment
 * know.
 */
export function hasNewestTemplate(pod: Pod, facts: TemplateFacts): boolean | undefined {
  const { workload, newestTemplates } = facts;
  if (!KINDS[workload.kind].rollsOut) {
    return isOfLaterRun(pod, facts);
  }
  const isNewest = isNamedNewest(pod, workload);
  const known = pod.template !== undefined && newestTemplates?.has(pod.template);
  return isNewest === undefined && newestTemplates === undefined
    ? undefined
    : isNewest === true || known === true;
}

/** What the workload itself says; undefined where it does not. */
function isNamedNewest(pod: Pod, { kind, newestTemplate }: Workload): boolean | undefined {
  const name = kind === 'DaemonSet' ? pod.templateGeneration : pod.template;
  return newestTemplate === undefined ? undefined : name === newestTemplate;
}

/**
 * Whether a pod is of the template that the last swap has written: it has been made of it, or has got all of its copies
 * in place. Undefined while only the ReplicaSets of the Deployment know.
 */
export function isOfSwap(pod: Pod, facts: TemplateFacts): boolean | undefined {
  const { workload, record } = facts;
  const slots = findSwappedSlots(workload.slots, record);
  if (!isOwn(pod, workload)) {
    return false;
  }
  if (slots.length > 0 && slots.every((slot) => findImage(pod, slot) === slot.image)) {
    return true;
  }
  const known = hasNewestTemplate(pod, facts);
  const isEarlier = slots.some((slot) => findImage(pod, slot) === record.before.get(slotKey(slot)));
  return known ?? (isEarlier ? false : undefined);
}

/** Pods of the last swap. One of which that cannot be told is none. */
export function listSwapPods(pods: readonly Pod[], facts: TemplateFacts): readonly Pod[] {
  return pods.filter((pod) => isOfSwap(pod, facts) === true);
}

/**
 * What pods have as `Pod.template` that are of the newest template of their DaemonSet. One that the template has had
 * before may have another number there, and is the same to the DaemonSet.
 */
export function listNewestOfPods(workload: Workload, pods: readonly Pod[]): ReadonlySet<string> {
  const newest = pods.filter((pod) => isNamedNewest(pod, workload) === true);
  return new Set(newest.flatMap(({ template }) => template ?? []));
}

/** Of the ReplicaSets of a Deployment, those with the images of today's template: what their pods have as `Pod.template`. */
export function listNewestTemplates(
  { slots }: Workload,
  formers: readonly FormerTemplate[],
): ReadonlySet<string> {
  const today = JSON.stringify(slots.map((slot) => [slotKey(slot), slot.image]));
  const same = formers.filter(
    (former) => JSON.stringify(former.slots.map((slot) => [slotKey(slot), slot.image])) === today,
  );
  return new Set(same.flatMap(({ hash }) => hash ?? []));
}

/** True where the workload, or that it is rolled out and its pods are all of one kind, says of which template they are. */
function areAllOfToday(workload: Workload, pods: readonly Pod[]): boolean {
  const { kind, rollout } = workload;
  const isOne = new Set(pods.map(({ template }) => template)).size === 1;
  const hasPods = KINDS[kind].rollsOut && rollout.desired > 0;
  return hasPods && !rollout.onDelete && isRolledOut(workload) && isOne;
}

/**
 * The containers that show what runs in a slot of today's template: of Ready pods, and of none of which that cannot be
 * told.
 */
export type ShownContainers = (slot: Slot) => readonly PodContainer[];

/** Goes through the pods once, for all slots. */
export function showContainers(workload: Workload, pods: readonly Pod[]): ShownContainers {
  const own = pods.filter((pod) => pod.ready && isOwn(pod, workload));
  const newest = listNewestOfPods(workload, own);
  const areOfToday = newest.size === 0 && areAllOfToday(workload, own);
  const byName = Map.groupBy(
    own.flatMap((pod) => {
      const isOfToday = areOfToday || (pod.template !== undefined && newest.has(pod.template));
      return pod.containers.map((container) => ({ container, isOfToday }));
    }),
    ({ container }) => container.name,
  );
  return ({ place, name, image }) =>
    (place === 'volumes' ? [] : (byName.get(name) ?? []))
      .filter(({ container, isOfToday }) => isOfToday || container.image === image)
      .map(({ container }) => container);
}
