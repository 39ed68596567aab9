import { expect, it, describe } from 'vitest';
import { startRegistry } from '../support/registry.ts';
import { findDigest, pushImage, SAMPLE_IMAGES } from '../support/seed-images.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const { tools, processes } = connectToCluster();

describe('a registry', () => {
  it('comes back with its data after a stop, on the same port', async () => {
    const registry = await startRegistry({ tools, processes, name: 'restarted' });
    const image = await pushImage(registry, SAMPLE_IMAGES.dockerList);
    await registry.stop();
    await expect(findDigest(registry, image)).rejects.toThrow('fetch failed');
    await registry.start();
    expect(await findDigest(registry, image)).toBe(image.digest);
  });

  it('remembers who asked for what', async () => {
    const registry = await startRegistry({ tools, processes, name: 'asked' });
    const { repository, tag } = SAMPLE_IMAGES.singleManifest;
    await findDigest(registry, { repository, tag });
    await pushImage(registry, SAMPLE_IMAGES.singleManifest);
    const path = `/v2/${repository}/manifests/${tag}`;
    const ofTag = (await registry.requests()).filter((request) => request.path === path);
    expect(ofTag).toMatchObject([
      { method: 'HEAD', path, status: 404, client: 'test-seed' },
      { method: 'PUT', path, status: 201, client: 'test-seed' },
    ]);
  });
});
