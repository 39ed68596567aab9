/**
 * A lying registry: what it is told, and where it can send us. Requests to any other machine arrive at a server of this
 * test, because the controller and its engine are told that it is their HTTP proxy.
 *
 * A token service on another public host is none of these cases: Docker Hub has one, so credentials for a registry do go
 * to the host that it names.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { copyOf, imagesOf, waitForImages } from '../support/backed-up.ts';
import { basicAuth } from '../support/docker-config.ts';
import {
  forImage,
  listRequests,
  startFaultSetup,
  waitForCopyFailed,
  type FaultSetup,
} from '../support/faults-setup.ts';
import { REFUSALS, requestsTo } from '../support/faults.ts';
import { startFaultyRegistry, type FaultyRegistry, type Misbehaviour } from '../support/faulty-registry.ts';
import { MEDIA_TYPES } from '../support/image-builder.ts';
import type { PushedImage } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';
import { waitForRollout } from '../support/rollout.ts';
import { waitFor } from '../support/wait-for.ts';

const cluster = connectToCluster();
const { kube, source: realSource, backup } = cluster;
const SOURCE_LOGIN = { user: 'reader', password: 'source-password' };
const METADATA_SERVICE = 'http://169.254.169.254/latest';
const ELSEWHERE = 'http://elsewhere.example/data';

let setup: FaultSetup;
let elsewhere: FaultyRegistry;
let freeSources: FaultyRegistry[];

beforeAll(async () => {
  elsewhere = await startFaultyRegistry(realSource);
  elsewhere.misbehave({ when: () => true, does: REFUSALS.forbidden });
  setup = await startFaultSetup({
    cluster,
    name: 'hostile',
    sources: 6,
    sourceCredentials: SOURCE_LOGIN,
    environment: { HTTP_PROXY: elsewhere.url, NO_PROXY: '127.0.0.1,localhost' },
  });
  freeSources = [...setup.sources];
});

afterAll(async () => {
  await setup.close();
  await elsewhere.close();
});

function takeSource(): FaultyRegistry {
  const free = freeSources.pop();
  if (!free) {
    throw new Error('no source is left');
  }
  return free;
}

const ASK_FOR_LOGIN: Misbehaviour = {
  kind: 'answer',
  status: 401,
  headers: { 'www-authenticate': 'Basic realm="registry"' },
};

function askForTokenFrom(realm: string): Misbehaviour {
  const challenge = `Bearer realm="${realm}",service="registry",scope="repository:x:pull"`;
  return { kind: 'answer', status: 401, headers: { 'www-authenticate': challenge } };
}

function redirectTo(location: string): Misbehaviour {
  return { kind: 'answer', status: 307, headers: { location } };
}

/** What arrived elsewhere on behalf of one test: the query says which. */
function listStray(mark: string): readonly { readonly authorization: string | undefined }[] {
  return elsewhere.requests.filter(({ path }) => path.includes(mark));
}

const MANIFESTS = requestsTo({ path: /\/manifests\// });
const LAYERS = requestsTo({ path: /\/blobs\// });

describe.concurrent('a source that wants a login, and', () => {
  it.each([
    {
      what: 'names a token service that is the metadata service of a cloud',
      when: MANIFESTS,
      does: askForTokenFrom(`${METADATA_SERVICE}/token`),
      told: 'names a token service that is not used, because http://169.254.169.254 is a link-local address',
      mark: 'latest/token',
    },
    {
      what: 'redirects to the metadata service of a cloud',
      when: MANIFESTS,
      does: redirectTo(`${METADATA_SERVICE}/meta-data`),
      told: 'redirects to an address that is a link-local address',
      mark: 'latest/meta-data',
    },
  ])(
    '$what → Unauthorized: “$told” → nobody is asked there',
    { tags: 'attack-registry' },
    async ({ when, does, told, mark }) => {
      const source = takeSource();
      const image = await setup.push(source, `hostile/${mark}`);
      const mend = source.misbehave(forImage(image, { when, does }));
      const workload = await setup.deploy(image);
      expect(await waitForCopyFailed(kube, workload, told)).toContain('(Unauthorized)');
      // A ready pod is a reason to try again.
      const now = await waitForRollout(kube, workload);
      expect([now.metadata.generation, imagesOf(now)]).toEqual([1, [image.reference]]);
      expect(listStray(mark)).toEqual([]);
      mend();
    },
  );

  it.each([
    { what: 'manifests', when: MANIFESTS, told: 'answered 403 Forbidden' },
    { what: 'layers', when: LAYERS, told: 'answered 403 Forbidden to GET storage' },
  ])(
    'redirects $what to another host: credentials do not go there',
    { tags: 'attack-secret' },
    async ({ what, when, told }) => {
      const source = takeSource();
      const image = await setup.push(source, `hostile/${what}`);
      const location = `${ELSEWHERE}/${what}`;
      const mends = [
        source.misbehave(
          forImage(image, {
            when: (request) => when(request) && request.authorization !== undefined,
            does: redirectTo(location),
          }),
        ),
        source.misbehave(
          forImage(image, {
            when: (request) => requestsTo({})(request) && request.authorization === undefined,
            does: ASK_FOR_LOGIN,
          }),
        ),
      ];
      const workload = await setup.deploy(image);
      await waitForCopyFailed(kube, workload, told);
      for (const mend of mends) {
        mend();
      }
      const stray = listStray(location).map(({ authorization }) => authorization);
      expect(stray.length).toBeGreaterThan(0);
      expect(stray.filter(Boolean)).toEqual([]);
    },
  );
});

it(
  'layers that a manifest says to fetch from elsewhere (foreign layers) are not fetched',
  { tags: 'attack-image' },
  async () => {
    const source = takeSource();
    const image = await setup.push(source, 'hostile/foreign');
    const bytes = await addForeignLayer(image, `${ELSEWHERE}/foreign`);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const headers = { 'content-type': MEDIA_TYPES.ociManifest, 'docker-content-digest': digest };
    const when = requestsTo({ method: 'HEAD|GET', path: /\/manifests\//, by: 'anybody' });
    source.misbehave(forImage(image, { when, does: { kind: 'answer', status: 200, headers, body: bytes } }));
    // The backup of the tests takes no such manifest; others do.
    const isWrite = requestsTo({ method: 'PUT', path: /\/manifests\// });
    setup.backup.misbehave(
      forImage(image, { when: isWrite, does: { kind: 'answer', status: 201, headers } }),
    );
    await setup.deploy(image);
    await waitFor(() => listRequests(setup.backup, image).some(isWrite), { what: 'the copy to be written' });
    expect(listStray('foreign')).toEqual([]);
  },
);

/** The manifest of an image, with one more layer. */
async function addForeignLayer({ repository, tag }: PushedImage, url: string): Promise<Buffer> {
  const answer = await fetch(`${realSource.url}/v2/${repository}/manifests/${tag}`, {
    headers: { accept: MEDIA_TYPES.ociManifest },
  });
  const manifest = (await answer.json()) as { readonly layers: readonly object[] };
  const layer = {
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    digest: `sha256:${'f'.repeat(64)}`,
    size: 1_000,
    urls: [url],
  };
  return Buffer.from(JSON.stringify({ ...manifest, layers: [...manifest.layers, layer] }));
}

it(
  'each registry has seen its own credentials, and those of no other',
  { tags: 'attack-secret' },
  async () => {
    const image = await setup.push(takeSource(), 'hostile/honest');
    const workload = await setup.deploy(image);
    await waitForImages(kube, workload, [copyOf(image, setup.prefix)]);
    const seen = (registry: FaultyRegistry): Set<string | undefined> =>
      new Set(registry.requests.flatMap(({ authorization }) => authorization ?? []));
    expect(seen(setup.backup)).toEqual(
      new Set([`Basic ${basicAuth(backup.credentials ?? { user: '', password: '' })}`]),
    );
    const bySources = setup.sources.flatMap((source) => [...seen(source)]);
    expect(new Set(bySources)).toEqual(new Set([`Basic ${basicAuth(SOURCE_LOGIN)}`]));
    expect([...seen(elsewhere)]).toEqual([]);
  },
);
