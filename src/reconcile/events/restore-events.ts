import type { EventEntries } from './event-entry.ts';

/** Of images that are put back, apart from swaps that are undone. */
export const RESTORE_EVENTS = {
  ImageRestored: {
    type: 'Normal',
    action: 'RestoreImage',
    about: 'workload',
    meaning:
      'MODE is restore, and the originals are in the template again. The pods are replaced by one rollout.',
    remedy: 'Nothing has to be done.',
  },
  PodNotRestored: {
    type: 'Warning',
    action: 'RestoreImage',
    about: 'workload',
    meaning:
      'A pod waits for an image that the template does not name any more, nothing would replace it, and admission does not ' +
      'let it have the image of the template. It does not start.',
    remedy:
      'Delete the pod, or let the policy that the note names allow the images of the template. It is tried again within the hour.',
  },
  PodRestored: {
    type: 'Normal',
    action: 'RestoreImage',
    about: 'workload',
    meaning:
      'A pod waited for an image that the template does not name any more, or did not become ready with it, and nothing ' +
      'would have replaced it. It has the image of the template now, and starts with that.',
    remedy: 'Nothing has to be done.',
  },
  RestoreDenied: {
    type: 'Warning',
    action: 'RestoreImage',
    about: 'workload',
    meaning: 'MODE is restore, but the API server refuses the originals. The pods go on with the copies.',
    remedy:
      'Allow the originals in the policy that the note names. It is tried again by itself. Keep the backup registry ' +
      'until then.',
  },
} as const satisfies EventEntries;
