import { annotationKey } from '../../workloads/annotations.ts';
import { LONGEST_ANNOTATIONS, LONGEST_NAMES } from '../../workloads/size-limits.ts';
import { asObject } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** No value that means something is longer. */
const LONGEST_WORD = 200;

/**
 * What is read of a workload, and how many characters of it: one more than may count where a longer one means something
 * else. Anything else below our domain is somebody's memory at our cost.
 */
const KEPT: readonly (readonly [key: string, longest: number])[] = [
  [annotationKey('policy'), LONGEST_WORD],
  [annotationKey('refresh'), LONGEST_WORD],
  [annotationKey('ignore-containers'), LONGEST_NAMES + 1],
  [annotationKey('original-images'), LONGEST_ANNOTATIONS],
  [annotationKey('status'), LONGEST_ANNOTATIONS],
];

/** The annotations of ours. */
export function projectAnnotations(annotations: unknown): Readonly<Record<string, string>> {
  const all = asObject(annotations);
  return Object.fromEntries(
    KEPT.flatMap(([key, longest]) => {
      const value = Object.hasOwn(all, key) ? all[key] : undefined;
      return typeof value === 'string' ? [[key, cutText(value, longest)]] : [];
    }),
  );
}
