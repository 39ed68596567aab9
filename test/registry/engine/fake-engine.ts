import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

import { createTemporaryFolder, writeScript } from '../temporary-folder.ts';

/** What a fake engine does, after it has written down how it was called. */
export interface FakeScenario {
  readonly callsPath: string;
  readonly stderr?: readonly string[];
  /** Default: 0. */
  readonly exit?: number;
  readonly hangs?: boolean;
  readonly ignoresSigterm?: boolean;
  /** It goes on once there is such a file. */
  readonly untilPath?: string;
  /** Created at its end. */
  readonly donePath?: string;
}

interface FakeCall {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** What it read from standard input. */
  readonly config: string;
}

export interface FakeEngine {
  readonly program: string;
  /** For other files of the test. */
  readonly folder: string;
  calls(): Promise<readonly FakeCall[]>;
  /** What it does from its next start on. */
  become(scenario: Omit<FakeScenario, 'callsPath'>): Promise<void>;
}

/** A program that can be started in place of regctl. */
export async function createFakeEngine(scenario: Omit<FakeScenario, 'callsPath'> = {}): Promise<FakeEngine> {
  const folder = await createTemporaryFolder();
  const callsPath = join(folder, 'calls');
  const scenarioPath = join(folder, 'scenario.json');
  const script = fileURLToPath(new URL('fake-regctl.ts', import.meta.url));
  const become: FakeEngine['become'] = (next) =>
    writeFile(scenarioPath, JSON.stringify({ ...next, callsPath }));
  await become(scenario);
  const program = await writeScript(folder, 'regctl', [
    `exec '${process.execPath}' '${script}' '${scenarioPath}' "$@"`,
  ]);
  return {
    program,
    folder,
    become,
    async calls() {
      const text = await readFile(callsPath, 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as FakeCall);
    },
  };
}
