import { createHash } from 'node:crypto';

/** Stands for a text of any length, to tell whether it is the same as before. */
export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
