import { ANNOTATION_DOMAIN } from './record.ts';

/** On workloads and Namespaces: what may be done with them, as `POLICIES` has it. */
export const POLICY = `${ANNOTATION_DOMAIN}/policy`;
/** On workloads: names of containers and image volumes that are left alone, comma-separated. */
export const IGNORE_CONTAINERS = `${ANNOTATION_DOMAIN}/ignore-containers`;
/** On workloads: a changed value, whatever it is, asks to look again now. */
const REFRESH = `${ANNOTATION_DOMAIN}/refresh`;

/** What the user asks for with `refresh`, at a length that can be remembered; undefined when nothing. */
export function readRefresh(annotations: Readonly<Record<string, string>>): string | undefined {
  const LONGEST = 100;
  return annotations[REFRESH]?.slice(0, LONGEST);
}
