import { describe, expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import { createReadingGuard } from '../../../src/registry/engine/reading-guard.ts';
import { parseTraceLine } from '../../../src/registry/engine/trace-line.ts';
import { aTraceLine } from './trace-lines.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const JOB = {
  source: parseReference(`a.io/team/app:1@${DIGEST}`),
  copy: parseReference('b.io/backup/app:1--aaaaaaaaaaaa'),
};
const MIB = 1024 * 1024;

function judge(lines: readonly string[]): string | undefined {
  const guard = createReadingGuard(JOB);
  for (const text of lines) {
    const line = parseTraceLine(text);
    if (line) {
      guard.note(line);
    }
  }
  return guard.findExcess();
}

function reading(
  path: string,
  { bytes = 100, host = 'a.io', method = 'GET', status = '200 OK' } = {},
): string {
  return aTraceLine({
    method,
    status,
    url: `https://${host}/v2/${path}`,
    headers: { 'Content-Length': String(bytes) },
  });
}

const MANIFEST = 'team/app/manifests/x';
const COPY_LAYER = JSON.stringify({ msg: 'Copy layer', layer: 'x' });

describe('the engine is stopped', { tags: 'attack-image' }, () => {
  it.each([
    [
      'manifests below the image',
      [...Array<string>(501).fill(reading(MANIFEST)), reading(`team/app/manifests/${DIGEST}`)],
      'has more than 500 manifests (501)',
    ],
    [
      'bytes of manifests',
      Array<string>(5).fill(reading(MANIFEST, { bytes: 4 * MIB })),
      'has more than 16 MiB of manifests (20 MiB)',
    ],
    [
      'bytes of lists',
      [
        ...Array<string>(4).fill(reading('team/app/referrers/x', { bytes: 4 * MIB })),
        reading('team/manifests/referrers/x', { bytes: 1 }),
      ],
      'has more than 16 MiB of manifests (17 MiB)',
    ],
    [
      'layers',
      Array<string>(3_501).fill(COPY_LAYER),
      'has more than 3500 layers in all its manifests (3501)',
    ],
  ])('when it reads too many %s, and not before', (_, lines, expected) => {
    expect(judge(lines.slice(1))).toBeUndefined();
    expect(judge(lines)).toBe(expected);
  });
});

it.each([
  [
    'layers to which the registry redirects to itself',
    reading('', { bytes: 100 * MIB }).replace('/v2/', '/artifacts-downloads/namespaces/x/downloads/y'),
  ],
  ['layers of a repository called manifests', reading('team/manifests/blobs/x', { bytes: 100 * MIB })],
  ['names of tags', reading('team/app/tags/list', { bytes: 100 * MIB })],
  ['layers', reading('team/app/blobs/x', { bytes: 100 * MIB })],
  ['answers of the backup', reading('backup/app/manifests/x', { host: 'b.io', bytes: 100 * MIB })],
  ['questions after a manifest', reading(MANIFEST, { method: 'HEAD', bytes: 100 * MIB })],
  ['refusals', reading(MANIFEST, { status: '429 Too Many Requests', bytes: 100 * MIB })],
  ['what does not say how large it is', reading(MANIFEST, { bytes: Number.NaN })],
  ['what says that it is less than nothing', reading(MANIFEST, { bytes: -1 })],
])('%s do not count', (_, line) => {
  expect(
    judge([line, ...Array<string>(400).fill(line.replace(MANIFEST, 'team/app/blobs/x'))]),
  ).toBeUndefined();
});
