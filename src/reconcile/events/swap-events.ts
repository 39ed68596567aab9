import type { EventEntries } from './event-entry.ts';

/** Of workloads that are pointed at their copies, or are not. */
export const SWAP_EVENTS = {
  Deferred: {
    type: 'Normal',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'The workload is not swapped, although nothing is wrong: an annotation, its owner or its state speaks against it. ' +
      'The pods go on as they are.',
    remedy: 'Nothing has to be done. The note says why, and what to change if the workload is to be swapped.',
  },
  ImageSwapped: {
    type: 'Normal',
    action: 'SwapImage',
    about: 'workload',
    meaning: 'The images in the template are copies in the backup now. The pods are replaced by one rollout.',
    remedy:
      'Nothing has to be done, unless the note says that nodes may need credentials for the backup registry.',
  },
  InvalidAnnotation: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'An annotation on the workload or its namespace cannot be understood. A wrong policy counts as ignore, so the pods ' +
      'are left alone; of a wrong list of containers the names that are right count.',
    remedy: 'Correct the annotation; the note has its name and what it may be.',
  },
  NotRescued: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'Pods cannot pull the original, and the backup has a copy, but the workload is not known to be allowed to read it. ' +
      'These pods do not start.',
    remedy:
      'If the workload may read the image, write the copy that the note names into its template. Otherwise correct the ' +
      'image, or the access to its source.',
  },
  PullSecretConflict: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'The namespace has a Secret of its own with the name in PULL_SECRET, which is not overwritten. The workload is not ' +
      'swapped, and its pods go on as they are.',
    remedy:
      'Delete that Secret, or add it to imagePullSecrets of the workload if it is good for the backup registry, or give ' +
      'PULL_SECRET another name.',
  },
  PullSecretForbidden: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'The controller may not read the Secret of PULL_SECRET, or not put it into the namespace. The workload is not ' +
      'swapped, and its pods go on as they are.',
    remedy:
      'Apply config/components/pull-secret/rbac.yaml with the name of the Secret, or empty PULL_SECRET.',
  },
  PullSecretMissing: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'The Secret of PULL_SECRET does not exist in the namespace of the controller, or is of the wrong type. The ' +
      'workload is not swapped, and its pods go on as they are.',
    remedy:
      'Create it in the namespace of the controller, of the type kubernetes.io/dockerconfigjson, or empty PULL_SECRET.',
  },
  Rescued: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'Pods could not pull the original, so the workload was pointed at its copy at once. They start from the backup now.',
    remedy:
      'Find out what has become of the image at its source; the note has the words of the kubelet. The copy serves until ' +
      'then.',
  },
  SwapDenied: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'The API server refuses the copies, or admission would make other images of them, or the annotations of the workload ' +
      'have no room for its original images. Nothing was changed, and the pods go on as they are.',
    remedy:
      'Let the policy or webhook that the note names leave images of the backup registry as they are; if a permission is ' +
      'missing, apply config/default/rbac.yaml again; if the annotations are full (256 KiB), remove some. It is tried again within the hour, or at once with an edit of the ' +
      'settings.',
  },
  SwapReverted: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'workload',
    meaning:
      'Somebody has put the originals back, a person once or a tool again and again. The pods run the originals, and the ' +
      'workload is left alone until the time in the note.',
    remedy:
      'If it was a tool, configure it as the note says; see docs/gitops.md. If it was a person who wants it to stay, set ' +
      'the annotation backup-image-registry/policy: copy.',
  },
  SwapRolledBack: {
    type: 'Warning',
    action: 'RestoreImage',
    about: 'workload',
    meaning:
      'Pods did not start or work with the copy, so the workload has the images from before the swap again. It is left ' +
      'alone until the time in the note.',
    remedy:
      'Fix what the note quotes, often the access of the nodes to the backup registry. It is tried again by itself, or ' +
      'at once with a new value of the annotation backup-image-registry/refresh.',
  },
} as const satisfies EventEntries;
