import { annotationKey } from './annotations.ts';

export const POLICY = annotationKey('policy');
export const IGNORE_CONTAINERS = annotationKey('ignore-containers');
export const REFRESH = annotationKey('refresh');

/** What the user asks for with `refresh`, at a length that can be remembered; undefined when nothing. */
export function readRefresh(annotations: Readonly<Record<string, string>>): string | undefined {
  const LONGEST = 100;
  return annotations[REFRESH]?.slice(0, LONGEST);
}
