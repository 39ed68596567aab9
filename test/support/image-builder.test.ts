import { expect, it } from 'vitest';
import { buildImage } from './image-builder.ts';
import { SAMPLE_IMAGES } from './seed-images.ts';

it.each([
  ['multiPlatform', 'sha256:7dbb076cd956e152a46df034840b79c2d67c7fd7ae68b91a8ed0a12f1501079e', 4],
  ['dockerList', 'sha256:a18e99ffce3e3498dabf85e8c2132bc1218f4236167130a7da4f8b64fba2767b', 2],
  ['singleManifest', 'sha256:6ff77479136ad0df53a7758e928d23fe4e5eef68cd1d77eb427a561a6f2da462', 0],
] as const)('the sample %s is the same on every machine', async (name, digest, children) => {
  const image = await buildImage(SAMPLE_IMAGES[name].spec);
  expect(image.digest).toBe(digest);
  expect(image.manifests).toHaveLength(children + 1);
});
