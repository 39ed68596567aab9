import { readFileSync } from 'node:fs';

/** A recorded run of the real engine. */
export interface Recording {
  readonly argv: readonly string[];
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const FILE = new URL('../../fixtures/regctl-0.11.5.json', import.meta.url);

export const recordings = (
  JSON.parse(readFileSync(FILE, 'utf8')) as { readonly scenarios: Readonly<Record<string, Recording>> }
).scenarios;
