import { readFileSync } from 'node:fs';

/** What distribution/reference v0.6.0 makes of a text; the field `about` of the file says how to read it. */
export interface ValidVector {
  readonly input: string;
  readonly host: string;
  readonly repository: string;
  readonly tag: string | null;
  readonly digest: string | null;
  readonly canonical: string;
}

export interface Vectors {
  readonly valid: readonly ValidVector[];
  readonly invalid: readonly { readonly input: string; readonly why: string }[];
  readonly same: readonly (readonly string[])[];
}

export const vectors = JSON.parse(
  readFileSync(new URL('../fixtures/references.json', import.meta.url), 'utf8'),
) as Vectors;
