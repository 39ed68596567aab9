import { describe, expect, it } from 'vitest';

import { RegistryError } from '../../../src/errors.ts';
import type { Platforms } from '../../../src/images/platforms.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { createCauseFinder } from '../../../src/registry/content/refusal-cause.ts';
import type { PinnedAccess } from '../../../src/registry/manifests/image-access.ts';
import { parseManifestContent } from '../../../src/registry/manifests/manifest-content.ts';

const digestOf = (digit: string): string => `sha256:${digit.repeat(64)}`;
const TOP = digestOf('0');
const LINUX = digestOf('1');
const WINDOWS = digestOf('2');
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';

function indexOf(mediaType: string): object {
  const entryOf = (digest: string, os: string): object => ({
    mediaType: OCI_MANIFEST,
    digest,
    size: 2,
    platform: { os, architecture: 'amd64' },
  });
  return { mediaType, manifests: [entryOf(LINUX, 'linux'), entryOf(WINDOWS, 'windows')] };
}

function manifestOf(mediaType: string, layerType = 'application/vnd.oci.image.layer.v1.tar'): object {
  return { mediaType, layers: [{ mediaType: layerType, digest: digestOf('a'), size: 1 }] };
}

const FOREIGN_MANIFEST = manifestOf(OCI_MANIFEST, FOREIGN);

/** @param manifest under which the backup was to have it. */
function find(
  manifests: Readonly<Record<string, object>>,
  manifest: string,
  platforms: Platforms,
): ReturnType<ReturnType<typeof createCauseFinder>> {
  const findCause = createCauseFinder(({ reference }) => {
    const { digest } = reference;
    const document = manifests[digest];
    if (!document) {
      throw new RegistryError('not there', { reason: 'NotFound', side: 'source' });
    }
    const { mediaType } = document as { readonly mediaType: string };
    const body = Buffer.from(JSON.stringify(document));
    return Promise.resolve(parseManifestContent({ mediaType, body }, reference));
  });
  const reference = { ...parseReference('example.com/app:1'), digest: TOP };
  const image: PinnedAccess = {
    side: 'source',
    reference,
    credential: undefined,
    insecureRegistries: [],
    signal: new AbortController().signal,
  };
  return findCause({ image, platforms, manifest });
}

describe('why a backup may have refused a manifest', () => {
  it.each<[string, Readonly<Record<string, object>>, string, string | undefined]>([
    ['one of the media types of Docker', { [TOP]: manifestOf(DOCKER_MANIFEST) }, '1', 'docker-media-types'],
    ['one of those of OCI', { [TOP]: manifestOf(OCI_MANIFEST) }, '1', undefined],
    ['a list of Docker', { [TOP]: indexOf(DOCKER_LIST) }, '1', 'docker-media-types'],
    ['an index of OCI', { [TOP]: indexOf(OCI_INDEX) }, '1', undefined],
    ['a part with a foreign layer', { [WINDOWS]: FOREIGN_MANIFEST }, WINDOWS, 'foreign-layers'],
    ['what cannot be read', {}, WINDOWS, undefined],
  ])('%s', async (_, manifests, manifest, cause) => {
    expect(await find(manifests, manifest, 'all')).toBe(cause);
  });

  it('is the part with a foreign layer that was left out', async () => {
    const manifests = { [TOP]: indexOf(OCI_INDEX), [WINDOWS]: FOREIGN_MANIFEST };
    expect(await find(manifests, '1', ['linux/amd64'])).toBe('foreign-layers');
    expect(await find(manifests, '1', ['windows/amd64'])).toBeUndefined();
  });

  it('is not the media type of a list of which parts were left out: that is reason enough', async () => {
    expect(await find({ [TOP]: indexOf(DOCKER_LIST) }, '1', ['linux/amd64'])).toBeUndefined();
  });
});
