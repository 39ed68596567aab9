import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { TOOL_MODULES } from './tool-modules.ts';

it('the image for clouds has the helpers that the tests run, from the same module', async () => {
  const dockerfile = await readFile(join(import.meta.dirname, '../../Dockerfile.cloud'), 'utf8');
  const helpers = TOOL_MODULES.find(({ name }) => name === 'credential-helpers');
  const built = [...dockerfile.matchAll(/-o \/helpers\/(\S+) (\S+)$/gm)].map(([, name, path]) => [
    name,
    path,
  ]);
  expect(Object.fromEntries(built)).toEqual(helpers?.packages);
  expect(dockerfile).toContain(
    'COPY test/tools/credential-helpers/go.mod test/tools/credential-helpers/go.sum ./',
  );
});
