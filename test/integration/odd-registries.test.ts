/** Registries that answer as their vendors' do, and not as the distribution API has it. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { type Copying, startCopying } from '../support/copying.ts';
import { REFUSALS, requestsTo } from '../support/faults.ts';
import { type FaultyRegistry, type Misbehaviour, startFaultyRegistry } from '../support/faulty-registry.ts';
import { startRegistry } from '../support/registry.ts';
import { findDigest, pushImage, type PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const { tools, processes } = connectToCluster();
const IMAGE = { repository: 'team/app', tag: '1.0' };

let count = 0;
let source: FaultyRegistry;
let backup: FaultyRegistry;
let pushed: PushedImage;
let copying: Copying;
/** At the source. */
let image: string;

beforeEach(async () => {
  count += 1;
  const [realSource, realBackup] = await Promise.all(
    ['source', 'backup'].map((name) => startRegistry({ tools, processes, name: `odd-${name}-${count}` })),
  );
  if (!realSource || !realBackup) {
    throw new Error('no registries');
  }
  [source, backup] = await Promise.all([startFaultyRegistry(realSource), startFaultyRegistry(realBackup)]);
  onTestFinished(async () => {
    await Promise.all([source.close(), backup.close()]);
    await Promise.all([realSource.stop(), realBackup.stop()]);
  });
  pushed = await pushImage(realSource, {
    ...IMAGE,
    spec: { format: 'oci-index', content: 'odd', attestation: true },
  });
  image = `${source.host}/team/app:1.0`;
  copying = copyWith({});
});

function copyWith(settings: Readonly<Record<string, string>>): Copying {
  const hosts = { REGISTRY_PREFIX: `${backup.host}/p`, INSECURE_REGISTRIES: `${source.host},${backup.host}` };
  return startCopying({ program: tools.regctl, settings: { ...hosts, ...settings } });
}

async function expectCopied(): Promise<void> {
  const repository = `p/${source.host.replace(':', '_')}/team/app`;
  expect(await findDigest(backup, { repository, tag: '1.0' })).toBe(pushed.digest);
}

/** Methods of the requests for manifests that were the controller's own. */
function listLookUps(registry: FaultyRegistry): readonly string[] {
  return registry.requests
    .filter(({ client, path }) => client === 'backup-image-registry' && path.includes('/manifests/'))
    .map(({ method }) => method);
}

/** As some say it of a repository that nobody has pushed to. */
const NAME_UNKNOWN: Misbehaviour = {
  kind: 'answer',
  status: 400,
  body: '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}',
};
const HEAD = requestsTo({ method: 'HEAD', path: /\/manifests\// });

const notKnown: Misbehaviour = { kind: 'answer', status: 404 };
describe.each<[string, Misbehaviour]>([
  ['404 (Nexus behind a proxy)', notKnown],
  ['400', { kind: 'answer', status: 400 }],
  ['403 (registry.centos.org)', { kind: 'answer', status: 403 }],
  ['501', { kind: 'answer', status: 501 }],
])('a registry that answers HEAD of a manifest with %s', (_, does) => {
  it('as the source, is copied from, and asked with GET from the second time on', async () => {
    source.misbehave({ when: HEAD, does });
    expect(await copying.pass(image)).toMatchObject({ phase: 'verified', digest: pushed.digest });
    await expectCopied();
    const before = listLookUps(source).length;
    await copying.pass(image);
    expect(new Set(listLookUps(source).slice(before))).toEqual(new Set(['GET']));
  });

  it('as the backup, is copied to, and the copy is found again', async () => {
    const mend = backup.misbehave({ when: HEAD, does });
    expect(await copying.pass(image)).toMatchObject({ phase: 'verified', digest: pushed.digest });
    const uploads = backup.requests.filter(({ method }) => method === 'PUT').length;
    expect(await copying.pass(image)).toMatchObject({ phase: 'verified' });
    expect(backup.requests.filter(({ method }) => method === 'PUT')).toHaveLength(uploads);
    mend();
    await expectCopied();
  });
});

describe('a backup that makes a repository on its first push, and until then answers', () => {
  const isLook = requestsTo({ method: 'HEAD|GET', path: /\/(?:manifests|blobs)\// });

  /** Until somebody writes to it. */
  function refuseLooks(does: Misbehaviour): void {
    let isThere = false;
    backup.misbehave({
      when(request) {
        isThere ||= request.method === 'POST';
        return !isThere && isLook(request);
      },
      does,
    });
  }

  it.each<[string, Misbehaviour]>([
    ['401', REFUSALS.login],
    ['403', REFUSALS.forbidden],
    ['400 NAME_UNKNOWN', NAME_UNKNOWN],
  ])('%s, gets the copy', async (_, does) => {
    refuseLooks(does);
    expect(await copying.pass(image)).toMatchObject({ phase: 'verified', digest: pushed.digest });
    await expectCopied();
  });

  it('401, gets the copy that is to rescue pods', async () => {
    refuseLooks(REFUSALS.login);
    expect(await copying.pass(image, { isRescue: true })).toMatchObject({ phase: 'verified' });
    await expectCopied();
  });

  it('401, costs the source nothing when the push is refused as well', async () => {
    backup.misbehave({ when: () => true, does: REFUSALS.login });
    expect(await copying.pass(image)).toMatchObject({
      phase: 'failed',
      reason: 'Unauthorized',
      side: 'backup',
    });
    expect(source.requests.filter(({ client }) => client.startsWith('regclient/'))).toEqual([]);
  });
});

describe('a copy that was proven', () => {
  it.each<[string, Misbehaviour]>([
    ['is down', REFUSALS.unavailable],
    ['does not let us in', REFUSALS.login],
  ])('stays so while the backup %s, and is lost when it says so', async (_, does) => {
    await copying.pass(image, { digest: pushed.digest });
    const mend = backup.misbehave({ when: () => true, does });
    expect(await copying.pass(image, { digest: pushed.digest })).toMatchObject({ phase: 'verified' });
    mend();
    source.misbehave({ when: () => true, does: REFUSALS.unknownManifest });
    backup.misbehave({ when: HEAD, does: notKnown });
    backup.misbehave({ when: requestsTo({ method: 'GET', path: /\/manifests\// }), does: notKnown });
    expect(await copying.pass(image, { digest: pushed.digest })).toMatchObject({
      phase: 'failed',
      isMissing: true,
    });
  });
});

it('a source that does not let tags be listed (Azure) keeps an image from its signatures, not from the backup', async () => {
  const withReferrers = copyWith({ COPY_REFERRERS: 'true' });
  const mend = source.misbehave({ when: requestsTo({ path: /\/tags\/list/ }), does: REFUSALS.forbidden });
  expect(await withReferrers.pass(image)).toMatchObject({
    phase: 'verified',
    digest: pushed.digest,
    referrersProblem: expect.stringContaining('403'),
  });
  await expectCopied();
  mend();
  const state = await withReferrers.pass(image);
  expect(state).toMatchObject({ phase: 'verified' });
  expect(state).not.toHaveProperty('referrersProblem');
});

describe('a backup that takes only the media types of OCI (zot)', () => {
  const PUT = requestsTo({ method: 'PUT', path: /\/manifests\//, by: 'anybody' });
  const INVALID = '{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}';

  it.each<[string, Misbehaviour]>([
    ['400 MANIFEST_INVALID', { kind: 'answer', status: 400, body: INVALID }],
    ['415 (older versions)', { kind: 'answer', status: 415 }],
  ])('and answers those of Docker with %s, is said to be one, and is not asked for ever', async (_, does) => {
    const spec = { format: 'docker-list', content: 'odd' } as const;
    await pushImage(source, { ...IMAGE, tag: 'docker', spec });
    backup.misbehave({ when: PUT, does });
    expect(await copying.pass(`${source.host}/team/app:docker`)).toMatchObject({
      phase: 'failed',
      reason: 'Unsupported',
      message: expect.stringMatching(/media types of Docker.*compat/),
    });
    expect(await copying.pass(image)).toMatchObject({
      phase: 'failed',
      message: expect.not.stringContaining('Docker'),
    });
  });
});
