/**
 * Images in one pod template. Real pods have a dozen or two; whoever has more is left alone, so that no work for one
 * workload is ever large.
 */
export const MOST_SLOTS = 100;

/** Names in `imagePullSecrets` of a template or a pod; more are not kept. */
export const MOST_PULL_SECRETS = 100;

/** The API server takes no more of all annotations of an object. */
export const LONGEST_ANNOTATIONS = 256 * 1_024;

/** Room for the names of all slots that a workload may have, of 63 characters each, and some more. */
export const LONGEST_NAMES = 16 * 1_024;
