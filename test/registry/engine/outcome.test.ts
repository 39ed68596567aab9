import { describe, expect, it } from 'vitest';

import type { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/images/reference.ts';
import type { CopyJob } from '../../../src/reconcile/ports.ts';
import { describeFailedRun } from '../../../src/registry/engine/outcome.ts';
import { createTraceReader } from '../../../src/registry/engine/trace.ts';
import { recordings } from './recordings.ts';
import { aTraceLine } from './trace-lines.ts';

const NOW_MS = 1_000_000;
const JOB = {
  source: parseReference(`a.io/team/app:1@sha256:${'a'.repeat(64)}`),
  copy: parseReference('b.io/backup/a.io/team/app:1--aaaaaaaaaaaa'),
};
const BACKUP_UPLOAD = 'https://b.io/v2/backup/a.io/team/app/blobs/uploads/';
const BACKUP_TAG = 'https://b.io/v2/backup/a.io/team/app/manifests/1--aaaaaaaaaaaa';
const SOURCE_MANIFEST = `https://a.io/v2/team/app/manifests/sha256:${'a'.repeat(64)}`;

function judge(
  lines: readonly string[],
  options: { job?: CopyJob; exitCode?: number | null } = {},
): RegistryError {
  const { job = JOB, exitCode = 1 } = options;
  const reader = createTraceReader(job);
  for (const line of lines) {
    reader.readLine(line);
  }
  return describeFailedRun({ job, trace: reader.read(), exitCode }, NOW_MS);
}

function judgeRecording(name: string): RegistryError {
  const recording = recordings[name];
  if (!recording) {
    throw new Error(`no recording ${name}`);
  }
  const [source = '', copy] = recording.argv.slice(recording.argv.indexOf('--') + 1);
  const job = {
    source: source.startsWith('-') ? JOB.source : parseReference(source),
    copy: copy === undefined ? JOB.copy : parseReference(copy),
  };
  return judge(recording.stderr.trimEnd().split('\n'), { job, exitCode: recording.exit });
}

/** What each recorded failure means, by scenario; `head:` asks a source for a digest, `copy:` copies. */
const EXPECTED: readonly (readonly [scenario: string, reason: string, side: string])[] = [
  ['head:src-401-basic-nocred', 'Unauthorized', 'source'],
  ['copy:src-401-basic-nocred', 'Unauthorized', 'source'],
  ['head:src-401-bearer-insufficient', 'Unauthorized', 'source'],
  ['copy:src-401-bearer-insufficient', 'Unauthorized', 'source'],
  ['head:src-token-401', 'Unauthorized', 'source'],
  ['copy:src-token-401', 'Unauthorized', 'source'],
  ['head:src-token-403', 'Unauthorized', 'source'],
  ['copy:src-token-403', 'Unauthorized', 'source'],
  ['head:src-token-429', 'RateLimited', 'source'],
  ['copy:src-token-429', 'RateLimited', 'source'],
  ['head:src-403-denied', 'Unauthorized', 'source'],
  ['copy:src-403-denied', 'Unauthorized', 'source'],
  ['head:src-404-manifest-unknown', 'NotFound', 'source'],
  ['copy:src-404-manifest-unknown', 'NotFound', 'source'],
  ['head:src-404-name-unknown', 'NotFound', 'source'],
  ['copy:src-404-name-unknown', 'NotFound', 'source'],
  ['head:src-429', 'RateLimited', 'source'],
  ['copy:src-429', 'RateLimited', 'source'],
  ['head:src-429-retry-after', 'RateLimited', 'source'],
  ['copy:src-429-retry-after', 'RateLimited', 'source'],
  ['head:src-500', 'RegistryUnavailable', 'source'],
  ['copy:src-500', 'RegistryUnavailable', 'source'],
  ['head:src-503', 'RegistryUnavailable', 'source'],
  ['copy:src-503', 'RegistryUnavailable', 'source'],
  ['head:src-eof', 'RegistryUnavailable', 'source'],
  ['copy:src-eof', 'RegistryUnavailable', 'source'],
  ['head:src-405-head', 'Unsupported', 'source'],
  ['copy:src-405-head', 'Unsupported', 'source'],
  // A layer that is gone is not an image that is gone: the manifest was there a moment ago.
  ['copy:src-blob-404', 'Unknown', 'source'],
  ['copy:src-digest-mismatch', 'Unknown', 'source'],
  ['copy:dst-401-basic', 'Unauthorized', 'backup'],
  ['copy:dst-post-403', 'Unauthorized', 'backup'],
  ['copy:dst-post-404-name-unknown', 'NotFound', 'backup'],
  ['copy:dst-put-manifest-403', 'Unauthorized', 'backup'],
  // Two pushes into one repository got in each other's way: a retry succeeds.
  ['copy:dst-put-manifest-400-blob-unknown', 'Unknown', 'backup'],
  ['copy:dst-put-manifest-400-invalid', 'Unsupported', 'backup'],
  ['copy:dst-put-manifest-409-immutable', 'ImmutableTag', 'backup'],
  ['copy:dst-put-blob-413', 'QuotaExceeded', 'backup'],
  ['copy:dst-put-blob-507', 'QuotaExceeded', 'backup'],
  ['copy:dst-upload-500', 'RegistryUnavailable', 'backup'],
  ['copy:dst-conn-refused', 'RegistryUnavailable', 'backup'],
  ['head:conn-refused', 'RegistryUnavailable', 'source'],
  ['head:nxdomain', 'RegistryUnavailable', 'source'],
  ['head:unknown-ca', 'RegistryUnavailable', 'source'],
  ['head:http-to-https', 'RegistryUnavailable', 'source'],
  ['usage:invalid-ref', 'RegistryUnavailable', 'source'],
  ['usage:flag-like', 'Unknown', 'backup'],
  ['config:bad-json', 'Unknown', 'backup'],
  // A missing file is not even mentioned by the engine.
  ['config:missing', 'RegistryUnavailable', 'source'],
  ['config:newer-version', 'Unknown', 'backup'],
  ['sigterm-mid-copy', 'Unknown', 'backup'],
  ['sigterm-hang', 'Unknown', 'backup'],
];

describe('a manifest of the source that is none', () => {
  const GOT = aTraceLine({ url: SOURCE_MANIFEST });

  it('is Unsupported when it is something else', () => {
    const error = judge([GOT, 'copy failed, error getting source: unsupported media type: "text/html"']);
    expect(error).toMatchObject({ reason: 'Unsupported', side: 'source' });
    expect(error.message).toMatch(/: source registry a.io sent something that is no image \(text\/html\)$/);
  });

  it.each([
    "copy failed, error getting source: error unmarshaling manifest for a.io/x: invalid character '<' looking for …",
    'copy failed, error getting source: manifest contains an unexpected media type: expected x, received y',
    'error marshalling manifest for b.io/x: manifest not set',
  ])('may have been changed on its way: %s', (final) => {
    const error = judge([GOT, final]);
    expect(error).toMatchObject({ reason: 'Unknown', side: 'source', retryable: true });
    expect(error.message).toMatch(/: source registry a.io sent a manifest that cannot be read$/);
  });

  it('may have been cut off', () => {
    const error = judge([GOT, 'copy failed, error getting source: failed to read manifest: unexpected EOF']);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'source' });
    expect(error.message).toContain('broke off in the middle of a manifest');
  });

  it('may be another one the next time', () => {
    const error = judge([GOT, 'manifest digest mismatch, expected sha256:1, computed sha256:2']);
    expect(error).toMatchObject({ reason: 'Unknown', side: 'source', retryable: true });
    expect(error.message).toContain(
      'sent another manifest than the one that was asked for (digest mismatch)',
    );
  });

  it.each(['sha256:zz', ''])('names a layer “%s”', (layer) => {
    const url = `https://a.io/v2/team/app/blobs/${layer}`;
    const error = judge([
      GOT,
      aTraceLine({ url, status: '400 Bad Request' }),
      'failed to get blob [http 400]: x',
    ]);
    expect(error).toMatchObject({ reason: 'Unsupported', side: 'source' });
    expect(error.message).toContain('names a layer by something that is no digest');
  });

  it('is not believed of a text that a registry may have written', { tags: 'attack-registry' }, () => {
    const refused = aTraceLine({ url: SOURCE_MANIFEST, status: '403 Forbidden' });
    const final =
      'request failed [http 403]: {"errors":[{"code":"DENIED","message":"unsupported media type"}]}';
    expect(judge([refused, final]).reason).toBe('Unauthorized');
  });
});

describe('a part of an image', () => {
  const PART = { ...JOB, platforms: ['linux/amd64'] };
  const refuse = (text: string): readonly string[] => [
    aTraceLine({ method: 'PUT', url: BACKUP_TAG, status: '400 Bad Request' }),
    `failed to put manifest: request failed [http 400]: {"errors":[{"code":"${text}","message":"no"}]}`,
  ];

  it('is Unsupported in a backup that takes whole images only', () => {
    const error = judge(refuse('MANIFEST_BLOB_UNKNOWN'), { job: PART });
    expect(error).toMatchObject({ reason: 'Unsupported', side: 'backup', retryable: false });
    expect(error.message).toMatch(/not all platforms: allow that in the registry, or set PLATFORMS=all$/);
  });

  it('may be refused for other reasons', () => {
    expect(judge(refuse('the tag is immutable'), { job: PART }).reason).toBe('ImmutableTag');
    expect(judge(refuse('MANIFEST_BLOB_UNKNOWN')).reason).toBe('Unknown');
  });
});

describe('the recorded runs', () => {
  it.each(EXPECTED)('%s is %s of the %s', (scenario, reason, side) => {
    expect(judgeRecording(`${scenario}/trace`)).toMatchObject({ reason, side });
  });

  it('are all judged', () => {
    const failed = Object.entries(recordings).filter(
      ([name, { exit }]) => name.endsWith('/trace') && exit !== 0,
    );
    expect(failed.map(([name]) => name).toSorted()).toEqual(
      EXPECTED.map(([name]) => `${name}/trace`).toSorted(),
    );
  });

  it('cover every class of failure that a registry can cause', () => {
    const classes = new Set(EXPECTED.map(([, reason]) => reason));
    expect([...classes].toSorted()).toEqual([
      'ImmutableTag',
      'NotFound',
      'QuotaExceeded',
      'RateLimited',
      'RegistryUnavailable',
      'Unauthorized',
      'Unknown',
      'Unsupported',
    ]);
  });

  it('tell when to come back', () => {
    expect(judgeRecording('copy:src-429-retry-after/trace').retryAtMs).toBe(NOW_MS + 1_000);
    expect(judgeRecording('copy:src-429/trace').retryAtMs).toBe(NOW_MS + 60_000);
  });

  it('become a message that says what, which and what was answered', () => {
    expect(judgeRecording('copy:src-403-denied/trace').message).toBe(
      'copying 127.0.0.1:37521/demo/single:v1 to 127.0.0.1:37522/fx/r7:v1: source registry 127.0.0.1:37521 ' +
        'answered 403 Forbidden to GET manifest (DENIED: requested access to the resource is denied); ' +
        'the image is gone or private, or the credentials do not fit',
    );
  });
});

const FIRST_ANSWER = { method: 'HEAD', url: BACKUP_TAG, status: '404 Not Found' };

describe('a run that failed', () => {
  it('is a rate limit even when the backup refused something too', () => {
    const error = judge([
      aTraceLine({ url: SOURCE_MANIFEST, status: '429 Too Many Requests' }),
      aTraceLine({ method: 'POST', url: BACKUP_UPLOAD, status: '403 Forbidden' }),
      'failed: context canceled',
    ]);
    expect(error).toMatchObject({ reason: 'RateLimited', side: 'source' });
  });

  it('is explained by the status that the engine names last, not by one of a request it gave up on', () => {
    const error = judge([
      aTraceLine({ url: SOURCE_MANIFEST, status: '403 Forbidden' }),
      aTraceLine({ method: 'PUT', url: BACKUP_TAG, status: '500 Internal Server Error' }),
      'failed to put manifest: unexpected http status code: Internal Server Error [http 500]: [http 403]',
    ]);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'backup' });
  });

  it('is not explained by what the backup did not have yet', () => {
    const error = judge([
      aTraceLine(FIRST_ANSWER),
      'copy failed, error getting source: manifest digest mismatch',
    ]);
    expect(error).toMatchObject({ reason: 'Unknown', side: 'source' });
  });

  it('blames the token service when that is down, not the credentials', () => {
    const error = judge([
      aTraceLine({
        url: SOURCE_MANIFEST,
        status: '401 Unauthorized',
        headers: { 'Www-Authenticate': 'Bearer realm="https://auth.a.io/token",service="a"' },
      }),
      aTraceLine({ url: 'https://auth.a.io/token?service=a', status: '503 Service Unavailable' }),
      'failed to get manifest: unauthorized',
    ]);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'source' });
    expect(error.message).toContain('auth.a.io answered 503 Service Unavailable to token request');
  });

  it('blames nobody when storage behind a registry refuses an address', { tags: 'attack-registry' }, () => {
    const error = judge([
      aTraceLine({ url: 'https://bucket.s3.example/blob?X-Amz-Signature=s3cret', status: '403 Forbidden' }),
      'failed to get blob, digest: request failed: unauthorized [http 403]: https://bucket.s3.example/?sig=s3cret',
    ]);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'source' });
    expect(error.message).not.toContain('s3cret');
  });

  const upload = { method: 'PUT', url: `${BACKUP_UPLOAD}1234` };

  it('blames the source for a download that broke off while it was being uploaded', () => {
    const error = judge([
      aTraceLine({ ...upload, err: 'readfrom tcp 127.0.0.1:1->127.0.0.1:2: unexpected EOF' }),
      aTraceLine({ ...upload, method: 'PATCH', status: '416 Range Not Satisfiable' }),
      'failed to send blob (chunk), ref b.io/x: request failed: unexpected http status code [http 416]',
    ]);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'source' });
    expect(error.message).toContain('source registry a.io broke off in the middle of a layer');
  });

  it('blames the source for a layer that is not what its digest says', () => {
    const error = judge([
      aTraceLine({ ...upload, err: 'digest mismatch [expected sha256:1, calculated sha256:2]: EOF' }),
      'failed to send blob chunk, ref b.io/x: digest mismatch [expected sha256:1, calculated sha256:2]: EOF',
    ]);
    expect(error).toMatchObject({ reason: 'Unknown', side: 'source' });
    expect(error.message).toContain('source registry a.io sent a layer that is not what its digest says');
  });

  it('blames the backup for an upload that it broke off', () => {
    const error = judge([aTraceLine({ ...upload, err: 'EOF' }), 'failed to send blob: EOF']);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'backup' });
    expect(error.message).toContain('no answer from backup registry b.io (EOF)');
  });

  it('retries an upload that the backup has forgotten', () => {
    const error = judge([
      aTraceLine({ method: 'PATCH', url: `${BACKUP_UPLOAD}1234?_state=x`, status: '404 Not Found' }),
      'failed to send blob (chunk), ref b.io/x: not found [http 404]',
    ]);
    expect(error).toMatchObject({ reason: 'RegistryUnavailable', side: 'backup' });
  });

  it.each([
    [
      '400 Bad Request',
      '{"errors":[{"code":"TAG_INVALID","message":"ImageTagAlreadyExistsException"}]}',
      'ImmutableTag',
    ],
    ['412 Precondition Failed', '{"errors":[{"message":"configured as immutable"}]}', 'ImmutableTag'],
    [
      '403 Forbidden',
      '{"errors":[{"code":"DENIED","message":"adding 5 MiB will exceed the limit"}]}',
      'QuotaExceeded',
    ],
    ['403 Forbidden', '{"errors":[{"code":"DENIED","message":"no"}]}', 'Unauthorized'],
    ['402 Payment Required', '', 'QuotaExceeded'],
    ['400 Bad Request', '{"errors":[{"code":"DIGEST_INVALID"}]}', 'Unknown'],
  ])('reads the words of a backup that answers %s %s', (status, body, reason) => {
    const error = judge([
      aTraceLine({ method: 'PUT', url: BACKUP_TAG, status }),
      `failed to put manifest: request failed [http ${status.slice(0, 3)}]: ${body}`,
    ]);
    expect(error).toMatchObject({ reason, side: 'backup' });
  });

  it('does not take the words of a source for those of the backup', { tags: 'attack-registry' }, () => {
    const error = judge([
      aTraceLine({ url: SOURCE_MANIFEST, status: '403 Forbidden' }),
      'failed: unauthorized [http 403]: {"errors":[{"code":"DENIED","message":"quota"}]}',
    ]);
    expect(error).toMatchObject({ reason: 'Unauthorized', side: 'source' });
  });

  it('says so when it was killed, whatever it had met before', () => {
    const error = judge([aTraceLine({ url: SOURCE_MANIFEST, status: '403 Forbidden' })], { exitCode: null });
    expect(error).toMatchObject({ reason: 'Unknown' });
    expect(error.message).toContain('was killed');
  });

  it(
    'keeps control characters, secrets in addresses and long texts out of the message',
    { tags: 'attack-text' },
    () => {
      const error = judge([`strange\u001b[31m https://u:p@h.io/x?token=s3cret ${'x'.repeat(100_000)}`]);
      expect(error.message).not.toMatch(/s3cret|u:p@|\p{Cc}/u);
      expect(error.message.length).toBeLessThan(600);
    },
  );
});
