import { type WorkloadName, formatWorkloadKey } from '../../workloads/kinds.ts';
import { asObject, asText } from '../decode/json.ts';
import { findController } from '../workloads/owner-projection.ts';

/** As the API server wants it of a workload; what an owner is said to be called, it does not look at. */
const NAME = /^[a-z0-9][-a-z0-9.]{0,252}$/;

/** Runs of a CronJob are Jobs called `<name>-<minutes since 1970>`. */
const RUN = /^(.+)-\d+$/;

/** The workload whose pods are made by a controller of this kind and name. */
function findMaker(
  { kind, name }: { readonly kind: string; readonly name: string },
  template: string,
): Pick<WorkloadName, 'kind' | 'name'> | undefined {
  switch (kind) {
    case 'ReplicaSet':
      return template !== '' && name.endsWith(`-${template}`)
        ? { kind: 'Deployment', name: name.slice(0, -template.length - 1) }
        : undefined;
    case 'Job': {
      const cronJob = RUN.exec(name)?.[1];
      return cronJob === undefined ? undefined : { kind: 'CronJob', name: cronJob };
    }
    case 'DaemonSet':
    case 'StatefulSet':
      return { kind, name };
    default:
      return undefined;
  }
}

/**
 * Key of the workload that has made a raw pod, itself or by a ReplicaSet or Job of its own: as their names say, which a
 * Deployment and a CronJob give them. Undefined for all other pods; also for those of a ReplicaSet that a Deployment has found
 * and not made.
 */
export function findWorkloadOfPod(raw: unknown): string | undefined {
  const metadata = asObject(asObject(raw)['metadata']);
  const namespace = asText(metadata['namespace']) ?? '';
  const controller = findController(metadata['ownerReferences']);
  const [kind, name] = [asText(controller['kind']) ?? '', asText(controller['name']) ?? ''];
  const template = asText(asObject(metadata['labels'])['pod-template-hash']) ?? '';
  const maker = findMaker({ kind, name }, template);
  return maker && NAME.test(maker.name) && namespace !== ''
    ? formatWorkloadKey({ ...maker, namespace })
    : undefined;
}
