import type { EventEntries } from './event-entry.ts';

/** Of images and their copies. */
export const COPY_EVENTS = {
  CopyFailed: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'An image could not be copied to the backup. The pods go on as they are, but this image has no backup.',
    remedy:
      'The note names the registry error: correct the image name, the credentials in config.json or the registry. ' +
      'It is tried again by itself.',
  },
  CopyIncomplete: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'The source of an image does not have all platforms that the image names, as in a mirror that was made for one. What ' +
      'there is was copied, and the workload is swapped where that will do for all nodes.',
    remedy:
      'Push the image to its source again with all its platforms, or deploy one that names only those which are there. ' +
      'The note says what is missing.',
  },
  CopyMissing: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'A copy that the workload runs from was not in the backup any more, or not all of it. Pods that run go on. When ' +
      'the note says that it was copied again, new pods start as before; otherwise they start only on nodes that ' +
      'still have the image.',
    remedy:
      'Find out what deletes images in the backup registry and exclude these. If it could not be copied again, do not ' +
      'drain nodes: push the image into the backup from another place, or deploy one that can be pulled.',
  },
  CopyNotChecked: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'The controller could not look whether the backup still has a copy that the workload runs from. Nothing says that it is ' +
      'lost, and the pods go on.',
    remedy:
      'The note names the registry error: correct the credentials in config.json or the registry. It is tried again by itself.',
  },
  CopyUnexplained: {
    type: 'Normal',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'An image lies below REGISTRY_PREFIX already, and no record says what it is a copy of: the original controller, or a person, ' +
      'has put it there. It is looked up with every re-check, but could neither be put back nor be copied again.',
    remedy:
      'Nothing has to be done for an image that was built for the backup registry. Otherwise write the original into the template: ' +
      'it is backed up and swapped then.',
  },
  InvalidImage: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'The text of an image is no image reference. It is not backed up, and no node can pull it, unless a policy makes ' +
      'another image of it.',
    remedy: 'Correct the image in the template of the workload.',
  },
  OtherImageRuns: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'Ready pods run an image that is not known to be the one in the template, or different ones. A swap might change ' +
      'what runs, so the pods stay as they are.',
    remedy:
      'Restart the rollout, so that all pods run the same. If that does not help, write the image as it is called at ' +
      'its registry, or look for a mirror or policy that gives the nodes something else.',
  },
  PlatformNotCopied: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'A copy is not for every platform of the nodes, so that a pod on some of them could not start from it. A workload ' +
      'that was not swapped yet stays as it is; one that runs from the backup goes on where it runs.',
    remedy:
      'Add the platform that the note names to PLATFORMS. If the copy is for one platform only, deploy what the tag ' +
      'means now, or bind the workload to that platform with the nodeSelector kubernetes.io/arch.',
  },
  ReferrersNotCopied: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'COPY_REFERRERS is set, and an image was copied without some of its signatures, attestations and SBOMs. The image itself ' +
      'is backed up.',
    remedy:
      'The note names the registry error: let the credentials list the tags of the repository, or push the signature again. It is ' +
      'tried again with every re-check until the controller restarts; without COPY_REFERRERS nobody asks for them.',
  },
  SourceGone: {
    type: 'Normal',
    action: 'CopyImage',
    about: 'workload',
    meaning: 'An image does not exist at its source any more. The pods are safe: they run from the backup.',
    remedy:
      'Nothing has to be done now. Keep the copy, and look for another source before the next deployment.',
  },
  SourceNotAllowed: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'SOURCE_HOSTS does not name the registry of an image. The image is not backed up, and the pods keep the original.',
    remedy: 'Add the registry to SOURCE_HOSTS if it may be copied from; otherwise nothing has to be done.',
  },
  TooLarge: {
    type: 'Warning',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'The workload, its namespace, or what has to be read about it, is larger than the controller keeps in memory. It is ' +
      'left alone: nothing of it is copied, swapped, watched or put back, and its pods go on as they are.',
    remedy:
      'The note names the limit. Make it smaller, or split it, and change anything of it: then it is looked at again. What was ' +
      'swapped before is put back by the command `restore`.',
  },
  TagMoved: {
    type: 'Normal',
    action: 'CopyImage',
    about: 'workload',
    meaning:
      'A tag means another image at its source now, which is backed up, too. The pods keep the image they have.',
    remedy:
      'Nothing has to be done. With ON_SOURCE_CHANGE=swap such workloads are rolled to the new image by themselves.',
  },
} as const satisfies EventEntries;
