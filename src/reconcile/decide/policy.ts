import { quote } from '../../images/reference.ts';
import { slotKey } from '../../workloads/record.ts';
import { IGNORE_CONTAINERS, POLICY } from '../../workloads/user-annotations.ts';
import { LONGEST_NAMES } from '../../workloads/size-limits.ts';
import type { Slot, Workload } from '../../workloads/workload.ts';

export const POLICIES = ['swap', 'copy', 'ignore'] as const;

/** `copy`: copied, never swapped. `ignore`: neither; what runs from the backup already goes on doing so. */
export type Policy = (typeof POLICIES)[number];

/** What may be done with a workload, and who says so. */
export interface AppliedPolicy {
  readonly policy: Policy;
  /** `recognized`: the workload shows signs of somebody else who decides about its images. */
  readonly from: 'workload' | 'namespace' | 'recognized' | 'default';
  /** Names of slots that are left alone, by name or by slot key. */
  readonly ignoredNames: ReadonlySet<string>;
  /** What is wrong with the annotations, in sentences for the user. */
  readonly problems: readonly string[];
}

/** As with settings, an emptied value counts as unset. */
function clean(text: string | undefined): string | undefined {
  return text?.trim() || undefined;
}

/** One that cannot be read may have been meant to forbid everything. */
function readPolicy(text: string): Policy {
  return POLICIES.find((policy) => policy === text) ?? 'ignore';
}

function findPolicyProblem(text: string | undefined, where: string): readonly string[] {
  const isFine = text === undefined || POLICIES.some((policy) => policy === text);
  return isFine
    ? []
    : [
        `The annotation ${POLICY}${where} must be swap, copy or ignore, and is ${quote(text)}: ` +
          'it is treated as ignore until corrected.',
      ];
}

/** Each once. */
function readNames(text: string | undefined): ReadonlySet<string> {
  return new Set((text ?? '').split(',').flatMap((name) => clean(name) ?? []));
}

function isNamed(slot: Slot, names: ReadonlySet<string>): boolean {
  return names.has(slot.name) || names.has(slotKey(slot));
}

function findNameProblem({ slots }: Workload, names: ReadonlySet<string>): readonly string[] {
  const ofSlots = new Set(slots.flatMap((slot) => [slot.name, slotKey(slot)]));
  const unknown = [...names].filter((name) => !ofSlots.has(name));
  if (unknown.length === 0) {
    return [];
  }
  const known = slots.map((slot) => slot.name).join(', ');
  return [
    `The annotation ${IGNORE_CONTAINERS} must be a comma-separated list of containers and image volumes of this ` +
      `workload (${known}); ${quote(unknown.join(', '))} is none. The other names count.`,
  ];
}

function choosePolicy(
  workload: Workload,
  own: string | undefined,
  ofNamespace: string | undefined,
): Pick<AppliedPolicy, 'policy' | 'from'> {
  if (own !== undefined) {
    return { policy: readPolicy(own), from: 'workload' };
  }
  if (ofNamespace !== undefined) {
    return { policy: readPolicy(ofNamespace), from: 'namespace' };
  }
  return workload.owner !== undefined || workload.copyOnly !== undefined
    ? { policy: 'copy', from: 'recognized' }
    : { policy: 'swap', from: 'default' };
}

/** What is cut off may have been meant for any slot. */
function findLengthProblem(names: string | undefined): readonly string[] {
  const isFine = (names?.length ?? 0) <= LONGEST_NAMES;
  return isFine
    ? []
    : [
        `The annotation ${IGNORE_CONTAINERS} has more than ${LONGEST_NAMES} characters: everything is left alone until ` +
          'corrected.',
      ];
}

/** The workload's own annotation counts more than that of its namespace, and that more than what it looks like. */
export function findPolicy(workload: Workload, namespacePolicy: string | undefined): AppliedPolicy {
  const own = clean(workload.annotations[POLICY]);
  const ofNamespace = clean(namespacePolicy);
  const text = workload.annotations[IGNORE_CONTAINERS];
  const tooLong = findLengthProblem(text);
  const ignoredNames = tooLong.length > 0 ? new Set<string>() : readNames(text);
  return {
    ...(tooLong.length > 0
      ? { policy: 'ignore', from: 'workload' }
      : choosePolicy(workload, own, ofNamespace)),
    ignoredNames,
    problems: [
      ...(own === undefined
        ? findPolicyProblem(ofNamespace, ` of the namespace ${workload.namespace}`)
        : findPolicyProblem(own, '')),
      ...tooLong,
      ...findNameProblem(workload, ignoredNames),
    ],
  };
}

/** True for a slot that the user wants to be left as it is. */
export function isIgnored(slot: Slot, { policy, ignoredNames }: AppliedPolicy): boolean {
  return policy === 'ignore' || isNamed(slot, ignoredNames);
}
