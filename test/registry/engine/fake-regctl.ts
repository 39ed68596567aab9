// Stands in for regctl: writes down how it was called, then does what its scenario file says.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { FakeScenario } from './fake-engine.ts';

const [scenarioPath = '', ...args] = process.argv.slice(2);
const scenario = JSON.parse(readFileSync(scenarioPath, 'utf8')) as FakeScenario;

if (scenario.ignoresSigterm) {
  process.on('SIGTERM', () => undefined);
}
const { PWD: _pwd, OLDPWD: _oldPwd, SHLVL: _shlvl, _: _underscore, ...environment } = process.env;
const call = { args, environment, cwd: process.cwd(), config: readFileSync('/dev/stdin', 'utf8') };
appendFileSync(scenario.callsPath, `${JSON.stringify(call)}\n`);
for (const line of scenario.stderr ?? []) {
  process.stderr.write(`${line}\n`);
}
while (scenario.hangs || (scenario.untilPath !== undefined && !isThere(scenario.untilPath))) {
  await sleep(10);
}
if (scenario.donePath !== undefined) {
  writeFileSync(scenario.donePath, '');
}
process.exitCode = scenario.exit ?? 0;

function isThere(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
