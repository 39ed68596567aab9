import { parseSettings } from '../../src/settings/settings.ts';
import type { Settings } from '../../src/settings/settings.ts';
import type { WorkloadPatch } from '../../src/reconcile/ports.ts';
import type { VerifiedCopy } from '../../src/reconcile/copies/copy-state.ts';
import { formatRecord, type SwapRecord } from '../../src/workloads/record.ts';
import type { Pod, Rollout, Slot, Workload } from '../../src/workloads/workload.ts';

export const DIGEST = `sha256:${'3f2a9c1b4d5e'.padEnd(64, '0')}`;
export const OTHER_DIGEST = `sha256:${'b'.repeat(64)}`;

export function someSettings(data: Record<string, string> = {}): Settings {
  return parseSettings({ REGISTRY_PREFIX: 'backup.example/p', ...data }, {});
}

export function aSlot(image: string, slot: Partial<Slot> = {}): Slot {
  return { place: 'containers', name: 'app', image, ...slot };
}

const ROLLED_OUT: Rollout = {
  generation: 1,
  observedGeneration: 1,
  desired: 2,
  current: 2,
  updated: 2,
  available: 2,
  paused: false,
  terminating: false,
  onDelete: false,
  recreate: false,
};

/** A Deployment that is rolled out; a test names only what it is about. */
export function aWorkload(
  parts: Partial<Omit<Workload, 'rollout'>> & { rollout?: Partial<Rollout> } = {},
): Workload {
  return {
    kind: 'Deployment',
    namespace: 'shop',
    name: 'web',
    uid: 'uid-1',
    resourceVersion: '100',
    slots: [aSlot('nginx:1.27')],
    annotations: {},
    pullSecrets: [],
    podSelector: 'app=web',
    ...parts,
    rollout: { ...ROLLED_OUT, ...parts.rollout },
  };
}

/** Says that the controller of a workload has made a pod, of a template that it calls like this. */
export function madeBy(
  { kind, name, uid }: Pick<Workload, 'kind' | 'name' | 'uid'>,
  template = 'abc',
): Pick<Pod, 'made' | 'template'> {
  const by = kind === 'Deployment' ? { uid: 'uid-replicas', name: `${name}-${template}` } : { uid, name };
  return { made: { uid: 'uid-pod', by }, template };
}

/** A Ready pod that runs every slot of a workload with the given digest. */
export function aPodOf(workload: Workload, digest: string, pod: Partial<Pod> = {}): Pod {
  return {
    name: 'web-1',
    ...madeBy(workload),
    createdAtMs: 0,
    ready: true,
    containers: workload.slots.map((slot) => ({
      name: slot.name,
      image: slot.image,
      imageId: `docker.io/library/${slot.image.split(/[:@]/)[0]}@${digest}`,
    })),
    ...pod,
  };
}

export function aVerifiedCopy(image: string, digest: string = DIGEST): VerifiedCopy {
  return { phase: 'verified', digest, image };
}

/** What the API server keeps of the annotations of a patch. */
export function annotationsOf(record: SwapRecord): Record<string, string> {
  const entries = Object.entries(formatRecord(record)).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return Object.fromEntries(entries);
}

/** The annotations of a workload after a patch. */
export function patchAnnotations(
  before: Workload['annotations'],
  patch: WorkloadPatch['annotations'],
): Workload['annotations'] {
  const after = Object.entries({ ...before, ...patch });
  return Object.fromEntries(after.flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
}
