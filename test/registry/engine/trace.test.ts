import { expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import { createTraceReader, type RunTrace } from '../../../src/registry/engine/trace.ts';
import { recordings } from './recordings.ts';
import { aTraceLine, CONFIG_WARNING } from './trace-lines.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const JOB = {
  source: parseReference(`a.io/team/app:1@${DIGEST}`),
  copy: parseReference('b.io/backup/app:1--aaaaaaaaaaaa'),
};
const TAG_WRITE = {
  method: 'PUT',
  url: 'https://b.io/v2/backup/app/manifests/1--aaaaaaaaaaaa',
  status: '201 Created',
  headers: { 'Docker-Content-Digest': DIGEST },
};

function readAll(lines: readonly string[], job = JOB): RunTrace {
  const reader = createTraceReader(job);
  for (const line of lines) {
    reader.readLine(line);
  }
  return reader.read();
}

it.each([
  ['copy-ok/trace', '2b2e4ff9dc7b9ecfdea9d812a8f0584ebe585764f9435167daf787d27a2a2fbe'],
  ['copy-ok-multi/trace', '7d5762d0d207bceb60324fb55326f61697e5a006a25c63775072279f8f880c0a'],
])('finds the acknowledged digest of the recorded run %s, and no failure', (name, hex) => {
  const { argv, stderr } = recordings[name] ?? { argv: [], stderr: '' };
  const [source = '', copy = ''] = argv.slice(-2);
  const job = { source: parseReference(source), copy: parseReference(copy) };
  const trace = readAll(stderr.trimEnd().split('\n'), job);
  expect(trace).toMatchObject({ pushedDigest: `sha256:${hex}`, failures: [], finalText: '' });
});

it('finds no acknowledged digest when nothing was written', () => {
  const { argv, stderr } = recordings['copy-equal/trace'] ?? { argv: [], stderr: '' };
  const [source = '', copy = ''] = argv.slice(-2);
  const job = { source: parseReference(source), copy: parseReference(copy) };
  expect(readAll(stderr.trimEnd().split('\n'), job).pushedDigest).toBeUndefined();
});

it('takes only the write of the tag of the copy for an acknowledgement', () => {
  const elsewhere = [
    { ...TAG_WRITE, url: 'https://b.io/v2/backup/app/manifests/other' },
    { ...TAG_WRITE, url: 'https://b.io/v2/backup/other/manifests/1--aaaaaaaaaaaa' },
    { ...TAG_WRITE, url: 'https://a.io/v2/backup/app/manifests/1--aaaaaaaaaaaa' },
    { ...TAG_WRITE, method: 'HEAD', status: '200 OK' },
    { ...TAG_WRITE, status: '403 Forbidden' },
  ];
  expect(readAll(elsewhere.map(aTraceLine)).pushedDigest).toBeUndefined();
  expect(readAll([aTraceLine(TAG_WRITE)]).pushedDigest).toBe(DIGEST);
});

it('forgets a failure that was repeated with success', () => {
  const url = 'https://a.io/v2/team/app/blobs/sha256:1';
  const trace = readAll([aTraceLine({ url, status: '503 Service Unavailable' }), aTraceLine({ url })]);
  expect(trace.failures).toEqual([]);
});

it('does not take requests for failed that were cancelled', () => {
  const trace = readAll([
    aTraceLine({ url: 'https://a.io/v2/team/app/blobs/sha256:1', err: 'context canceled' }),
  ]);
  expect(trace.failures).toEqual([]);
});

it('believes no trace that comes after the first words of the error, for those quote an answer', () => {
  const trace = readAll(['failed: oops', aTraceLine(TAG_WRITE), CONFIG_WARNING]);
  expect(trace).toMatchObject({ pushedDigest: undefined, isConfigRefused: false });
});

it('skips lines that are cut or unknown', () => {
  const trace = readAll([
    aTraceLine(TAG_WRITE).slice(0, -30),
    '{"msg":"something else"}',
    '{"no":"message"}',
  ]);
  expect(trace).toMatchObject({ failures: [], finalText: '', pushedDigest: undefined });
});

it('notices that the engine goes on without its configuration', () => {
  expect(readAll([CONFIG_WARNING]).isConfigRefused).toBe(true);
});

it('knows Docker Hub by the name it is served under', () => {
  const job = { ...JOB, source: parseReference('nginx') };
  const url = 'https://registry-1.docker.io/v2/library/nginx/manifests/latest';
  const trace = readAll([aTraceLine({ url, status: '429 Too Many Requests' })], job);
  expect(trace.failures).toMatchObject([{ side: 'source', place: 'registry' }]);
});

it('tells the sides of one registry apart by the repository', () => {
  const job = { source: parseReference('b.io/team/app:1'), copy: JOB.copy };
  const trace = readAll(
    [
      aTraceLine({ url: 'https://b.io/v2/team/app/manifests/1', status: '404 Not Found' }),
      aTraceLine({
        method: 'POST',
        url: 'https://b.io/v2/backup/app/blobs/uploads/',
        status: '403 Forbidden',
      }),
    ],
    job,
  );
  expect(trace.failures.map(({ side }) => side)).toEqual(['source', 'backup']);
});

it('tells by the scope for which side a shared token service was asked', () => {
  const challenge = { 'Www-Authenticate': 'Bearer realm="https://auth.io/token",service="x"' };
  const trace = readAll([
    aTraceLine({
      url: 'https://a.io/v2/team/app/manifests/1',
      status: '401 Unauthorized',
      headers: challenge,
    }),
    aTraceLine({
      url: 'https://b.io/v2/backup/app/blobs/uploads/',
      method: 'POST',
      status: '401 Unauthorized',
      headers: challenge,
    }),
    aTraceLine({
      url: 'https://auth.io/token?scope=repository%3Ateam%2Fapp%3Apull',
      status: '403 Forbidden',
    }),
  ]);
  expect(trace.failures.at(-1)).toMatchObject({ side: 'source', place: 'token' });
});

it('keeps no query of an address', () => {
  const url = 'https://bucket.example/blob?X-Amz-Signature=s3cret';
  expect(JSON.stringify(readAll([aTraceLine({ url, status: '403 Forbidden' })]))).not.toContain('s3cret');
});

it('holds a bounded number of failures, the newest', () => {
  const lines = Array.from({ length: 3_000 }, (_, index) =>
    aTraceLine({
      url: `https://a.io/v2/team/app/blobs/sha256:${index}`,
      status: '500 Internal Server Error',
    }),
  );
  const { failures } = readAll(lines);
  expect(failures.length).toBe(1_000);
  expect(failures.at(-1)?.path).toBe('/v2/team/app/blobs/sha256:2999');
});
