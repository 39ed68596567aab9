import { describe, expect, it } from 'vitest';

import { TooLargeError } from '../../../src/errors.ts';
import { BoundedList, MOST_LISTED_BYTES } from '../../../src/kubernetes/decode/bounded-list.ts';

const LIMIT = { what: 'pods', mostBytes: 1_048_576 };

describe('a bounded list', () => {
  it('keeps what it is given', () => {
    const list = new BoundedList<object>(LIMIT);
    const pod = { name: 'a', ready: true, containers: [{ name: 'a' }], none: undefined };
    list.add(pod);
    expect(list.items).toEqual([pod]);
  });

  it('has room for many that say the same', () => {
    const list = new BoundedList<object>(LIMIT);
    for (let n = 0; n < 1_000; n += 1) {
      list.add({ image: 'x'.repeat(5_000) });
    }
    expect(list.items).toHaveLength(1_000);
  });

  it('has room for the pods of the largest DaemonSet', () => {
    const list = new BoundedList<object>({ what: 'pods', mostBytes: MOST_LISTED_BYTES });
    for (let n = 0; n < 5_000; n += 1) {
      const uid = `${n}`.padStart(36, '0');
      list.add({
        name: `node-agent-${n}`,
        made: { uid, by: { uid: 'of-the-daemon-set', name: 'node-agent' } },
        template: '5d9c7b8f6',
        templateGeneration: '7',
        createdAtMs: 1_700_000_000_000 + n,
        scheduledAtMs: 1_700_000_000_000 + n,
        ready: true,
        containers: ['agent', 'proxy', 'init'].map((name) => ({
          name,
          image: `registry.example.com/team/${name}:1.27`,
          imageId: `registry.example.com/team/${name}@sha256:${'a'.repeat(64)}`,
        })),
      });
    }
    expect(list.items).toHaveLength(5_000);
  });

  it('has an end for texts', { tags: 'attack-size' }, () => {
    const list = new BoundedList<object>(LIMIT);
    const fill = () => {
      for (let n = 0; n < 1_000; n += 1) {
        list.add({ image: `${n}`.padEnd(5_000) });
      }
    };
    expect(fill).toThrow(
      new TooLargeError('its pods take more than the 1 MiB of memory that they may take here'),
    );
  });

  it('has an end for objects', { tags: 'attack-size' }, () => {
    const list = new BoundedList<object>(LIMIT);
    expect(() => list.add({ containers: Array.from({ length: 10_000 }, () => ({})) })).toThrow(TooLargeError);
  });
});
