import { parseReference } from '../../src/images/reference.ts';
import { FIELD_MANAGER } from '../../src/workloads/image-owner.ts';

export type Images = Readonly<Record<string, string>>;

export interface ModelPod {
  readonly name: string;
  readonly uid: string;
  readonly owner: { readonly uid: string; readonly name: string };
  /** Which of the pods of its workload it is: the node of a DaemonSet, the ordinal of a StatefulSet. */
  readonly place: number;
  /** The template that it was made of, whatever images it has been given since. */
  readonly template: Images;
  images: Images;
  readonly createdAtMs: number;
  /** When the controller last gave it another image. */
  replacedAtMs?: number;
  /** By container; absent until pulled. */
  digests: Readonly<Record<string, string>> | undefined;
  /** Containers whose images could not be pulled when it was last tried. */
  stuck: readonly string[];
}

/** Whether a pod was made of a template with these images. */
export function isOf({ template }: ModelPod, images: Images): boolean {
  return Object.entries(template).every(([container, image]) => images[container] === image);
}

export function toRawPod(pod: ModelPod): object {
  const { name, uid, owner, createdAtMs, replacedAtMs, images, digests, stuck } = pod;
  const containers = Object.entries(images);
  const waitFor = (image: string) => ({
    waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` },
  });
  return {
    metadata: {
      name,
      uid,
      creationTimestamp: new Date(createdAtMs).toISOString(),
      ownerReferences: [{ ...owner, controller: true }],
      managedFields:
        replacedAtMs === undefined
          ? []
          : [{ manager: FIELD_MANAGER, operation: 'Update', time: new Date(replacedAtMs).toISOString() }],
    },
    spec: { containers: containers.map(([container, image]) => ({ name: container, image })) },
    status: {
      conditions: [{ type: 'Ready', status: digests ? 'True' : 'False' }],
      containerStatuses: containers.map(([container, image]) => {
        const { host, repository } = parseReference(image);
        const digest = digests?.[container];
        return digest
          ? { name: container, imageID: `${host}/${repository}@${digest}`, state: { running: {} } }
          : { name: container, imageID: '', state: stuck.includes(container) ? waitFor(image) : {} };
      }),
    },
  };
}
