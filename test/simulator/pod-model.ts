import { parseReference } from '../../src/images/reference.ts';

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
  const { name, uid, owner, createdAtMs, images, digests, stuck } = pod;
  const containers = Object.entries(images);
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image' };
  return {
    metadata: {
      name,
      uid,
      creationTimestamp: new Date(createdAtMs).toISOString(),
      ownerReferences: [{ ...owner, controller: true }],
    },
    spec: { containers: containers.map(([container, image]) => ({ name: container, image })) },
    status: {
      conditions: [{ type: 'Ready', status: digests ? 'True' : 'False' }],
      containerStatuses: containers.map(([container, image]) => {
        const { host, repository } = parseReference(image);
        const digest = digests?.[container];
        return digest
          ? { name: container, imageID: `${host}/${repository}@${digest}`, state: { running: {} } }
          : { name: container, imageID: '', state: stuck.includes(container) ? { waiting } : {} };
      }),
    },
  };
}
