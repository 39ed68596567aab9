import type { EventEntries } from './event-entry.ts';

/** Of the settings, and of what concerns the whole cluster: there is no other object of ours to tell it on. */
export const SETTINGS_EVENTS = {
  ConfigInvalid: {
    type: 'Warning',
    action: 'ReloadConfig',
    about: 'ConfigMap',
    meaning:
      'An edit of the ConfigMap was refused, all of it. The last good settings stay; a controller that has just started ' +
      'and has none does nothing until they are corrected. The pods go on as they are.',
    remedy: 'Correct every key that the note names. The edit takes effect at once, without a restart.',
  },
  KindForbidden: {
    type: 'Warning',
    action: 'ReadWorkloads',
    about: 'ConfigMap',
    meaning:
      'The controller may not list and watch workloads of a kind in WORKLOAD_KINDS. They are neither copied nor swapped, ' +
      'and their pods go on as they are. The other kinds are managed.',
    remedy: 'Apply config/default/rbac.yaml again, or take the kind out of WORKLOAD_KINDS.',
  },
  SwappingStopped: {
    type: 'Warning',
    action: 'SwapImage',
    about: 'ConfigMap',
    meaning:
      'Swaps in three namespaces in a row have failed, so no workload is pointed at its copy until the time in the note; or ' +
      'three swaps in one namespace have, and only that one, which the note names, is stopped. Each was undone, and the ' +
      'pods go on as they are. Images are still copied.',
    remedy:
      'Read the events SwapRolledBack of the workloads, and fix what they have in common. Swapping goes on by itself, or ' +
      'at once with an edit of the settings.',
  },
} as const satisfies EventEntries;
