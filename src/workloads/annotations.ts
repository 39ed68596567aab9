/** What there is to say about an annotation; docs/reference/annotations.md is made of it. */
export interface AnnotationEntry {
  readonly writer: 'user' | 'controller';
  readonly is: 'annotation' | 'label';
  readonly on: readonly ('workload' | 'Namespace' | 'Secret' | 'Lease')[];
  /** What it may be or is, in Markdown. */
  readonly values: string;
  /** In whole sentences. */
  readonly meaning: string;
}

/** Annotations and labels of this project all begin with this. */
const DOMAIN = 'backup-image-registry';

export const ANNOTATIONS = {
  policy: {
    writer: 'user',
    is: 'annotation',
    on: ['workload', 'Namespace'],
    values: '`swap`, `copy` (copied, not swapped) or `ignore` (neither)',
    meaning:
      'What may be done from now on. That of the workload counts more than that of its namespace, and that more than what ' +
      'the controller recognizes. An invalid value is treated as `ignore` until corrected, with the event `InvalidAnnotation`. ' +
      'No value rolls out a workload: one that runs from the backup already goes on doing so.',
  },
  'ignore-containers': {
    writer: 'user',
    is: 'annotation',
    on: ['workload'],
    values:
      'names of containers, init containers and image volumes, comma-separated; `volume:models` is an image volume whatever ' +
      'containers are called',
    meaning:
      'These are left as they are. A name that the workload does not have is told with the event `InvalidAnnotation`; the ' +
      'others count. With more than 16,384 characters, everything is left as it is.',
  },
  refresh: {
    writer: 'user',
    is: 'annotation',
    on: ['workload'],
    values: 'anything, of which the first 100 characters count',
    meaning: 'A new value has source and copy looked up now, and ends a hold.',
  },
  'original-images': {
    writer: 'controller',
    is: 'annotation',
    on: ['workload'],
    values: 'JSON: image by name of the container; the name of an image volume is written `volume:models`',
    meaning:
      'The images that the user wrote, exactly. The patch that takes them out of the template writes them here; a restore ' +
      'puts them back, and takes the annotation off.',
  },
  status: {
    writer: 'controller',
    is: 'annotation',
    on: ['workload'],
    values: 'JSON; its form may change with a new version, which `v` in it says',
    meaning:
      'What the controller has to know of the last swap after a restart: when it was, the images before and after it, ' +
      'entries that it added to imagePullSecrets, a hold with its end and reason, and what earlier copies were copies of. ' +
      'One that cannot be read counts as absent. A restore takes it off.',
  },
  'pull-secret-of': {
    writer: 'controller',
    is: 'label',
    on: ['Secret'],
    values: 'namespace of the controller',
    meaning:
      'Marks a pull secret that the controller has put into a namespace. Without it, a Secret is never changed or deleted.',
  },
  'used-by': {
    writer: 'controller',
    is: 'annotation',
    on: ['Secret'],
    values: 'kinds of workload, comma-separated',
    meaning:
      'Kinds of the workloads in the namespace that have needed the pull secret. It is not deleted while one of these kinds ' +
      'is not watched.',
  },
  'failed-swaps': {
    writer: 'controller',
    is: 'annotation',
    on: ['Lease'],
    values: 'JSON: workloads and times',
    meaning:
      'Swaps that were undone within the hour, so that whoever leads next knows that swapping is stopped. Only this counts: ' +
      'what is written on a workload stops nothing.',
  },
} as const satisfies Readonly<Record<string, AnnotationEntry>>;

/** With the domain in front, as it is written. One without an entry does not compile. */
export function annotationKey(name: keyof typeof ANNOTATIONS): string {
  return `${DOMAIN}/${name}`;
}
