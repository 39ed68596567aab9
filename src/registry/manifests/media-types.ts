export type ManifestKind = 'manifest' | 'index';

/** The manifests that images are made of, by media type; the most usual first. */
export const MANIFEST_KINDS: ReadonlyMap<string, ManifestKind> = new Map([
  ['application/vnd.oci.image.index.v1+json', 'index'],
  ['application/vnd.oci.image.manifest.v1+json', 'manifest'],
  ['application/vnd.docker.distribution.manifest.list.v2+json', 'index'],
  ['application/vnd.docker.distribution.manifest.v2+json', 'manifest'],
]);
