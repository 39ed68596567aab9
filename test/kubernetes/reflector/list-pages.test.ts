import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { listPages } from '../../../src/kubernetes/reflector/list-pages.ts';
import {
  type ScriptedApiServer,
  answerJson,
  connectForTest,
  startApiServer,
} from '../scripted-api-server.ts';

const OBJECTS = 20;

describe('a list read in pages', () => {
  let server: ScriptedApiServer;
  let limits: number[];
  let objectBytes: number;
  let largeObjects: number;

  beforeEach(async () => {
    limits = [];
    largeObjects = OBJECTS;
    server = await startApiServer((request, response) => {
      const limit = Number(request.query['limit']);
      const start = Number(request.query['continue'] ?? 0);
      const end = Math.min(start + limit, OBJECTS);
      limits.push(limit);
      const items = Array.from({ length: end - start }, (_, n) => ({
        n: start + n,
        x: 'x'.repeat(start + n < largeObjects ? objectBytes : 1),
      }));
      const metadata = { resourceVersion: '7', ...(end < OBJECTS && { continue: String(end) }) };
      answerJson(response, { metadata, items });
    });
  });

  afterEach(() => server.close());

  async function list(): Promise<{ readonly seen: readonly unknown[]; readonly version: string }> {
    const connection = connectForTest(server.url);
    const seen: unknown[] = [];
    const version = await listPages(connection, { path: '/api/v1/pods' }, (item) => {
      seen.push((item as { n: number }).n);
    });
    connection.close();
    return { seen, version };
  }

  it('asks for fewer objects at a time where they are large', { tags: 'attack-size' }, async () => {
    objectBytes = 1_500_000;
    const { seen, version } = await list();
    expect(seen).toEqual(Array.from({ length: OBJECTS }, (_, n) => n));
    expect(version).toBe('7');
    expect(limits.slice(0, 5)).toEqual([500, 125, 32, 8, 2]);
    expect(limits.length).toBeLessThan(2 * OBJECTS);
  });

  it(
    'takes a single object of more than a page, and more again after it',
    { tags: 'attack-size' },
    async () => {
      objectBytes = 5_000_000;
      largeObjects = 3;
      const { seen } = await list();
      expect(seen).toEqual(Array.from({ length: OBJECTS }, (_, n) => n));
      // One by one while they are large, with one try of two in between.
      expect(limits).toEqual([500, 125, 32, 8, 2, 1, 2, 1, 2, 1, 2, 4, 8, 16]);
    },
  );

  it('takes 500 where they are as usual', async () => {
    objectBytes = 5_000;
    await list();
    expect(limits).toEqual([500]);
  });
});
