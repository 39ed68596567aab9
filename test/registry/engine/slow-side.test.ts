import { expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import { describeTimeout } from '../../../src/registry/engine/slow-side.ts';
import { createTraceReader } from '../../../src/registry/engine/trace.ts';
import { aTraceLine } from './trace-lines.ts';

const JOB = {
  source: parseReference(`a.io/team/app:1@sha256:${'a'.repeat(64)}`),
  copy: parseReference('b.io/backup/app:1--aaaaaaaaaaaa'),
};
const cancelled = (method: string, url: string): string =>
  aTraceLine({ method, url, err: 'context canceled' });

const FROM_SOURCE = cancelled('GET', `https://a.io/v2/team/app/manifests/sha256:${'a'.repeat(64)}`);
const LAYER = cancelled('GET', `https://a.io/v2/team/app/blobs/sha256:${'b'.repeat(64)}`);
const UPLOAD = cancelled('PUT', 'https://b.io/v2/backup/app/blobs/uploads/1?digest=x');
const TAG = cancelled('PUT', 'https://b.io/v2/backup/app/manifests/1--aaaaaaaaaaaa');
const FAILED = aTraceLine({
  method: 'POST',
  url: 'https://b.io/v2/backup/app/blobs/uploads/',
  status: '502 Bad',
});

it.each([
  ['the source', [FROM_SOURCE], 'source', '; source registry a.io had not answered GET manifest'],
  ['the source, at a layer', [LAYER, LAYER], 'source', '; source registry a.io had not answered GET layer'],
  ['the backup', [TAG], 'backup', '; backup registry b.io had not answered PUT manifest'],
  ['both', [LAYER, TAG], 'source', '; both registries were slow to answer'],
  ['one of both', [UPLOAD, LAYER], 'source', '; layers were on their way from a.io to b.io'],
  ['nobody in particular', [], 'source', ''],
  ['the one that failed before', [FAILED], 'backup', ''],
])('says that %s was slow', (_, lines, side, text) => {
  const reader = createTraceReader(JOB);
  for (const line of lines) {
    reader.readLine(line);
  }
  const progress = { layers: 7, layersDone: 3, bytesBegun: 0, bytesDone: 0 };
  const error = describeTimeout({ ...reader.read(), job: JOB, timeoutMs: 900_000, progress });
  expect(error).toMatchObject({ reason: 'Timeout', side, retryable: true });
  expect(error.message).toMatch(/: not done after 900 s, with 3 of 7 layers done/);
  expect(error.message.endsWith(`layers done${text}`)).toBe(true);
});
