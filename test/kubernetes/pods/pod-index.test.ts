import { beforeEach, expect, it } from 'vitest';

import { type WatchedPod, PodIndex } from '../../../src/kubernetes/pods/pod-index.ts';

const KEY = 'StatefulSet/shop/db';

let index: PodIndex;

beforeEach(() => {
  index = new PodIndex();
});

function raw(name: string, { image = 'nginx:1.27', owner = 'db' } = {}): unknown {
  return {
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      ownerReferences: [{ kind: 'StatefulSet', name: owner, uid: 'u', controller: true }],
    },
    spec: { containers: [{ name: 'app', image }] },
  };
}

function read(...parts: Parameters<typeof raw>): WatchedPod {
  const made = index.read(raw(...parts));
  if (!made) {
    throw new Error('a pod of a workload was not kept');
  }
  return made;
}

it('lists the pods of one workload, as they are now', () => {
  const first = read('db-0');
  index.add(first);
  index.add(read('db-1'));
  index.add(read('other-0', { owner: 'other' }));
  index.add(read('db-1', { image: 'nginx:1.28' }));
  expect(index.listOf(KEY).map(({ name, containers: [one] }) => `${name} ${one?.image}`)).toEqual([
    'db-0 nginx:1.27',
    'db-1 nginx:1.28',
  ]);
  index.remove(first);
  expect(index.listOf(KEY)).toHaveLength(1);
});

it('keeps once what pods of a workload say alike, also of a list that is being read', () => {
  const [first, second] = [read('db-0'), read('db-1')];
  expect(second.containers).toBe(first.containers);
  expect(second.made).toMatchObject({ uid: 'uid-db-1' });
  index.add(first);
  read('other-0', { owner: 'other' });
  expect(read('db-2').containers).toBe(first.containers);
});

it('keeps once the image texts of pods of several workloads', () => {
  const [own, foreign] = [read('db-0'), read('other-0', { owner: 'other', image: 'nginx:1.28' })];
  expect(read('third-0', { owner: 'third' }).containers[0]?.image).toBe(own.containers[0]?.image);
  expect(foreign.containers[0]?.image).toBe('nginx:1.28');
});

it('keeps of every pod its own where they differ', () => {
  index.add(read('db-0'));
  expect(read('db-1', { image: 'nginx:1.28' }).containers[0]?.image).toBe('nginx:1.28');
  expect(index.listOf(KEY)[0]?.containers[0]?.image).toBe('nginx:1.27');
});

it('has nothing of a pod that no workload has made', () => {
  expect(index.read({ metadata: { name: 'bare', namespace: 'shop' } })).toBeUndefined();
});
