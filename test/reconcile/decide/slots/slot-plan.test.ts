import { describe, expect, it } from 'vitest';

import { parsePrefix } from '../../../../src/images/copy-name.ts';
import { parseReference } from '../../../../src/images/reference.ts';
import { formatReference } from '../../../../src/images/reference.ts';
import { findPolicy } from '../../../../src/reconcile/decide/policy.ts';
import { type SlotPlan, isCopied } from '../../../../src/reconcile/decide/slots/planned-slot.ts';
import { type SlotPlanFacts, planSlots } from '../../../../src/reconcile/decide/slots/slot-plan.ts';
import type { SwapRecord } from '../../../../src/workloads/record.ts';
import type { Pod, Slot } from '../../../../src/workloads/workload.ts';
import { DIGEST, OTHER_DIGEST, aPodOf, aSlot, aWorkload, madeBy } from '../../../support/builders.ts';

const PREFIX = parsePrefix('backup.example/p');
const NO_RECORD: SwapRecord = { originals: new Map(), copies: new Map(), before: new Map(), swappedAtMs: 0 };

function plan(slot: Slot, facts: Partial<SlotPlanFacts> = {}): SlotPlan | undefined {
  const workload = aWorkload({ slots: [slot] });
  const defaults = {
    workload,
    record: NO_RECORD,
    policy: findPolicy(workload, undefined),
    pods: [],
    prefix: PREFIX,
    naming: 'nested',
    sourceHosts: ['*'],
  } as const;
  return planSlots({ ...defaults, ...facts })[0];
}

/** What is to be copied, or why nothing is. */
function sourceOf(result: SlotPlan | undefined): string {
  return result?.is === 'to be backed up' ? formatReference(result.request.source) : String(result?.is);
}

function runningDigestOf(slot: Slot, pods: readonly Pod[]): string | undefined {
  const result = plan(slot, { pods });
  return result && isCopied(result) ? result.request.reported?.[0] : undefined;
}

it('wants a copy of what the user wrote', () => {
  expect(sourceOf(plan(aSlot('nginx')))).toBe('docker.io/library/nginx:latest');
});

describe('an image below the prefix that no record explains', () => {
  const slot = aSlot('backup.example/p/nginx:1-27');

  const podOf = (image: string, imageId: string) =>
    aPodOf(aWorkload(), DIGEST, { containers: [{ name: 'app', image, imageId }] });
  const ID = `backup.example/p/nginx@${DIGEST}`;

  it('is looked after as it is, with the digest that ready pods run', () => {
    expect(plan(slot, { pods: [podOf(slot.image, ID)] })).toEqual({
      is: 'unexplained',
      slot,
      request: {
        source: parseReference(`${slot.image}@${DIGEST}`),
        isProven: true,
        isUnexplained: true,
      },
    });
  });

  it.each([
    ['there are none', []],
    ['none is ready', [{ ...podOf(slot.image, ID), ready: false }]],
    ['they run another image', [podOf('nginx:1.27', `docker.io/library/nginx@${DIGEST}`)]],
    ['they have it from elsewhere', [podOf(slot.image, `docker.io/library/nginx@${DIGEST}`)]],
    ['they do not tell', [podOf(slot.image, 'sha256:0123')]],
  ])(
    'is not looked for while pods do not show it (%s): nobody finds out by us what the backup has',
    { tags: 'attack-share' },
    (_, pods) => {
      expect(plan(slot, { pods })).toEqual({ is: 'unexplained', slot });
    },
  );

  it('is not looked for when it is a volume, which no pod ever shows', { tags: 'attack-share' }, () => {
    const volume = aSlot(slot.image, { place: 'volumes' });
    expect(plan(volume, { pods: [podOf(slot.image, ID)] })).toEqual({ is: 'unexplained', slot: volume });
  });

  it('is left alone altogether when it is to be ignored', () => {
    const annotations = { 'backup-image-registry/policy': 'ignore' };
    const policy = findPolicy(aWorkload({ annotations }), undefined);
    expect(plan(slot, { policy })).toMatchObject({ is: 'left alone', why: 'ignored' });
  });
});

it('does not take a neighbour of the prefix for a copy', { tags: 'attack-text' }, () => {
  expect(sourceOf(plan(aSlot('backup.example/p-evil/x:1')))).toBe('backup.example/p-evil/x:1');
});

it('leaves an image alone that the node never pulls', () => {
  expect(plan(aSlot('nginx', { pullPolicy: 'Never' }))).toMatchObject({ why: 'never pulled' });
});

it.each(['--config=/etc/evil', '-h', ' nginx', 'a\nb', 'dir:/etc', '$(id)', 'x'.repeat(5000)])(
  'refuses %j as an image',
  { tags: 'attack-text' },
  (image) => {
    expect(plan(aSlot(image))).toMatchObject({ is: 'refused', reason: 'InvalidImage' });
  },
);

it('refuses a source whose host is not allowed', { tags: 'attack-text' }, () => {
  expect(plan(aSlot('evil.example/x:1'), { sourceHosts: ['docker.io', '*.corp:5000'] })).toMatchObject({
    is: 'refused',
    reason: 'SourceNotAllowed',
  });
  expect(sourceOf(plan(aSlot('a.corp:5000/x:1'), { sourceHosts: ['*.corp:5000'] }))).toBe('a.corp:5000/x:1');
});

it.each([
  ['[::1]:5000', '[::1]:5000/x:1'],
  ['[fd00::*]:5000', '[fd00::a]:5000/x:1'],
  ['GHCR.io', 'ghcr.io/x:1'],
  ['*.corp', 'Registry.Corp/x:1'],
  ['docker.io', 'nginx:1'],
])('lets images of the host %s be copied: %s', (pattern, image) => {
  expect(plan(aSlot(image), { sourceHosts: [pattern] })).toMatchObject({ is: 'to be backed up' });
});

it('takes the brackets of an address for no class of characters', { tags: 'attack-text' }, () => {
  expect(plan(aSlot('1:5000/x:1'), { sourceHosts: ['[::1]:5000'] })).toMatchObject({ is: 'refused' });
});

describe('which digest runs', () => {
  const slot = aSlot('nginx:1.27');
  const workload = aWorkload({ slots: [slot] });

  it('is what a ready pod says', () => {
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST)])).toBe(DIGEST);
  });

  it('is unknown while no pod is ready', () => {
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { ready: false })])).toBeUndefined();
  });

  it('is what most pods run when a tag has moved between their starts', () => {
    const pods = [aPodOf(workload, OTHER_DIGEST), aPodOf(workload, DIGEST), aPodOf(workload, DIGEST)];
    expect(runningDigestOf(slot, pods)).toBe(DIGEST);
  });

  it.each([
    ['of another repository', `quay.io/other/nginx@${DIGEST}`],
    ['of an image that was loaded, not pulled', DIGEST],
    ['that is empty', ''],
  ])('is not taken from an imageID %s', (_, imageId) => {
    const containers = [{ name: 'app', image: 'nginx:1.27', imageId }];
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { containers })])).toBeUndefined();
  });

  it('is taken from a pod of the template whatever image admission has written into it, and that is told', () => {
    const containers = [
      { name: 'app', image: 'mirror.corp/nginx:1', imageId: `mirror.corp/nginx@${DIGEST}` },
    ];
    expect(plan(slot, { pods: [aPodOf(workload, DIGEST, { containers })] })).toMatchObject({
      rewritten: 'mirror.corp/nginx:1',
      request: { elsewhere: [DIGEST], isProven: false },
    });
  });

  it('is not told to be rewritten when only its tag was resolved', () => {
    const image = `docker.io/library/nginx@${DIGEST}`;
    const containers = [{ name: 'app', image, imageId: image }];
    expect(plan(slot, { pods: [aPodOf(workload, DIGEST, { containers })] })).not.toHaveProperty('rewritten');
  });

  it.each<[string, Parameters<typeof aWorkload>[0], Partial<Pod>]>([
    [
      'of an older template',
      { kind: 'DaemonSet', newestTemplate: '2', rollout: { onDelete: true } },
      { templateGeneration: '1' },
    ],
    ['that another ReplicaSet has made', {}, madeBy({ kind: 'Deployment', name: 'other', uid: 'uid-1' })],
    ['while the workload rolls out', { rollout: { updated: 1 } }, {}],
  ])('is not taken from a pod %s', (_, parts, pod) => {
    const containers = [{ name: 'app', image: 'nginx:1.26', imageId: `docker.io/library/nginx@${DIGEST}` }];
    const other = aWorkload({ slots: [slot], ...parts });
    const pods = [aPodOf(other, DIGEST, { ...pod, containers })];
    expect(plan(slot, { workload: other, pods })).not.toHaveProperty('reports');
  });

  it.each<[string, Parameters<typeof aWorkload>[0], Partial<Pod>]>([
    ['the DaemonSet', { kind: 'DaemonSet', newestTemplate: '2' }, { templateGeneration: '2' }],
    [
      'the DaemonSet, when it had another number,',
      { kind: 'DaemonSet', newestTemplate: '2' },
      { templateGeneration: '1' },
    ],
    ['a ReplicaSet of the Deployment', {}, {}],
  ])('is taken from a pod that %s has made of the newest template, whatever its image', (_, parts, pod) => {
    const containers = [{ name: 'app', image: 'nginx:1.26', imageId: `docker.io/library/nginx@${DIGEST}` }];
    const other = aWorkload({ slots: [slot], ...parts });
    const pods = [aPodOf(other, DIGEST, { ...pod, containers })];
    expect(plan(slot, { workload: other, pods })).toMatchObject({ request: { reported: [DIGEST] } });
  });

  it('is another image when the node has loaded it, and then that is said', () => {
    const imageId = `docker.io/library/import-2026-11-24@${DIGEST}`;
    const containers = [{ name: 'app', image: 'nginx:1.27', imageId }];
    expect(plan(slot, { pods: [aPodOf(workload, DIGEST, { containers })] })).toMatchObject({
      reports: [{ imageId, digest: DIGEST, of: 'elsewhere' }],
      request: { isProven: false, elsewhere: [DIGEST] },
    });
  });

  it('is what a pod says that a node reports under the name of the copy, which it has pulled as well', () => {
    const imageId = `backup.example/p/docker.io/library/nginx@${DIGEST}`;
    const containers = [{ name: 'app', image: 'nginx:1.27', imageId }];
    const planned = plan(slot, { pods: [aPodOf(workload, DIGEST, { containers })] });
    expect(planned).toMatchObject({ request: { reported: [DIGEST] } });
    expect(planned?.is === 'to be backed up' && planned.request).not.toHaveProperty('elsewhere');
  });

  it('is what the user has pinned, whatever a pod says', () => {
    const pinned = aSlot(`nginx@${DIGEST}`);
    const pods = [aPodOf(aWorkload({ slots: [pinned] }), OTHER_DIGEST)];
    expect(plan(pinned, { pods })).toMatchObject({
      request: { source: { digest: DIGEST }, reported: [OTHER_DIGEST], isProven: false },
    });
  });

  it('is not known when ready pods are there, and none tells: then nothing is swapped', () => {
    const containers = [{ name: 'app', image: 'nginx:1.27', imageId: '' }];
    const pods = [aPodOf(workload, DIGEST, { containers })];
    expect(plan(slot, { pods })).toMatchObject({ isUnseen: true });
    expect(plan(slot, { pods: [] })).not.toHaveProperty('isUnseen');
    const volume = aSlot('models:1', { place: 'volumes', name: 'models' });
    expect(plan(volume, { pods })).not.toHaveProperty('isUnseen');
  });

  it(
    'is not taken from a pod that nobody has made, and that keeps none of ours from being seen',
    { tags: 'attack-text' },
    () => {
      const { made: _, template: __, ...bare } = aPodOf(workload, OTHER_DIGEST);
      const containers = [{ name: 'app', image: 'm.io/nginx', imageId: `m.io/nginx@${DIGEST}` }];
      const pods = [bare, aPodOf(workload, DIGEST, { containers })];
      expect(plan(slot, { pods })).toMatchObject({
        request: { elsewhere: [DIGEST] },
        rewritten: 'm.io/nginx',
      });
    },
  );

  it('proves nothing where admission has written another repository, whatever the node reports', () => {
    const containers = [{ name: 'app', image: 'm.io/nginx', imageId: `docker.io/library/nginx@${DIGEST}` }];
    const planned = plan(slot, { pods: [aPodOf(workload, DIGEST, { containers })] });
    expect(planned).toMatchObject({ request: { elsewhere: [DIGEST], isProven: false } });
  });

  it('is not to be waited for when ready pods do not show it', () => {
    const containers = [{ name: 'app', image: 'nginx:1.27', imageId: DIGEST }];
    const pods = [aPodOf(workload, DIGEST, { containers })];
    expect(plan(slot, { pods })).toMatchObject({ request: { isProven: false, isUnprovable: true } });
  });

  it('is read behind the scheme that older runtimes put in front', () => {
    const containers = [
      { name: 'app', image: 'nginx:1.27', imageId: `docker-pullable://docker.io/library/nginx@${DIGEST}` },
    ];
    expect(runningDigestOf(slot, [aPodOf(workload, DIGEST, { containers })])).toBe(DIGEST);
  });
});

describe('a slot that holds its copy', () => {
  const copy = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
  const record = {
    ...NO_RECORD,
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', copy]]),
  };

  it('keeps the copy of that very digest wanted, without proof that it may be copied', () => {
    expect(plan(aSlot(copy), { record })).toMatchObject({
      is: 'backed up',
      original: 'nginx:1.27',
      request: { source: { repository: 'library/nginx', tag: '1.27' }, digest: DIGEST, isProven: false },
    });
  });

  it('proves it by a ready pod whose node reports the name of the source', () => {
    const containers = [{ name: 'app', image: copy, imageId: `docker.io/library/nginx@${DIGEST}` }];
    const pods = [aPodOf(aWorkload(), DIGEST, { containers })];
    expect(plan(aSlot(copy), { record, pods })).toMatchObject({ request: { isProven: true } });
  });

  it('is seen in ready pods of a swap that still rolls out', () => {
    const containers = [{ name: 'app', image: copy, imageId: `m.io/nginx@${OTHER_DIGEST}` }];
    const unfinishedPods = [aPodOf(aWorkload(), DIGEST, { containers })];
    const planned = plan(aSlot(copy), { record, unfinishedPods });
    expect(planned).toMatchObject({ request: { elsewhere: [OTHER_DIGEST] } });
  });

  it('proves it by a ready pod', () => {
    const containers = [
      { name: 'app', image: copy, imageId: `backup.example/p/docker.io/library/nginx@${DIGEST}` },
    ];
    const pods = [aPodOf(aWorkload(), DIGEST, { containers })];
    expect(plan(aSlot(copy), { record, pods })).toMatchObject({
      request: { digest: DIGEST, isProven: true },
    });
  });

  describe('of an earlier prefix', () => {
    const former = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
    const held = aSlot(former);
    const formerRecord = { ...record, copies: new Map([['app', former]]) };
    const formerOf = (facts: Partial<SlotPlanFacts> = {}) => {
      const formerPrefixes = [parsePrefix('elsewhere.example'), parsePrefix('old.example/q')];
      const planned = plan(held, { record: formerRecord, formerPrefixes, ...facts });
      return planned?.is === 'to be backed up' ? planned.request.formers?.[0] : undefined;
    };
    const podOf = (imageId: string) =>
      aPodOf(aWorkload(), DIGEST, { containers: [{ name: 'app', image: former, imageId }] });

    it('may be copied from there, which ready pods that run it there prove', () => {
      const image = parseReference(former);
      expect(formerOf()).toEqual({ image, isShown: false });
      const repository = 'old.example/q/docker.io/library/nginx';
      expect(formerOf({ pods: [podOf(`${repository}@${DIGEST}`)] })).toEqual({ image, isShown: true });
      expect(formerOf({ pods: [podOf(`${repository}@${OTHER_DIGEST}`)] })?.isShown).toBe(false);
      expect(formerOf({ pods: [podOf(`docker.io/library/nginx@${DIGEST}`)] })?.isShown).toBe(true);
      const rewritten = podOf(`${repository}@${DIGEST}`).containers.map((one) => ({
        ...one,
        image: 'm.io/nginx',
      }));
      const pods = [aPodOf(aWorkload(), DIGEST, { containers: rewritten })];
      expect(formerOf({ pods })?.isShown).toBe(false);
    });

    it.each(['old.example', 'old.example/other', 'old.example/q/docker.io'])(
      'may not where the settings name another prefix (%s): its owner could put anything there',
      { tags: 'attack-annotation' },
      (prefix) => {
        const formerPrefixes = [parsePrefix(prefix)];
        expect(formerOf({ formerPrefixes })).toBeUndefined();
        expect(plan(held, { record: formerRecord, formerPrefixes })).toMatchObject({
          isOfUnknownBackup: true,
        });
      },
    );

    it('comes from there where SOURCE_HOSTS does not name its source any more, which is not asked', () => {
      const facts = {
        record: formerRecord,
        formerPrefixes: [parsePrefix('old.example/q')],
        sourceHosts: ['quay.io'],
      };
      expect(plan(held, facts)).toMatchObject({
        is: 'to be backed up',
        request: { isSourceBarred: true, formers: [{ isShown: false }] },
      });
      expect(plan(held, { ...facts, formerPrefixes: [] })).toMatchObject({
        is: 'refused',
        reason: 'SourceNotAllowed',
      });
    });

    it('needs no setting where only the naming has changed', () => {
      const flat = 'backup.example/p/docker-io-library-nginx-7e59ad6432';
      const moved = { ...record, copies: new Map([['app', `${flat}:1.27@${DIGEST}`]]) };
      expect(plan(aSlot(`${flat}:1.27@${DIGEST}`), { record: moved })).toMatchObject({
        request: { formers: [{ image: { repository: 'p/docker-io-library-nginx-7e59ad6432' } }] },
      });
    });

    it('may not when no record says what it is a copy of', { tags: 'attack-annotation' }, () => {
      expect(formerOf({ record: NO_RECORD })).toBeUndefined();
      const foreign = { ...formerRecord, originals: new Map([['app', 'redis:7']]) };
      expect(formerOf({ record: foreign })).toBeUndefined();
    });
  });

  it('is to be backed up under its new name when the naming changes', () => {
    expect(sourceOf(plan(aSlot(copy), { record, naming: 'flat' }))).toBe('docker.io/library/nginx:1.27');
  });

  it('is left alone when the new prefix has the original itself below it', () => {
    const prefix = { host: 'docker.io', path: 'library' };
    expect(plan(aSlot(copy), { record, prefix })?.is).toBe('left alone');
  });
});

describe('a slot whose original somebody has put back', () => {
  const copy = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
  const record = {
    ...NO_RECORD,
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', copy]]),
    uid: 'uid-1',
  };

  it('wants the copy that it had, whatever the tag means today', () => {
    expect(plan(aSlot('nginx:1.27'), { record })).toMatchObject({
      is: 'to be backed up',
      request: { digest: DIGEST, isProven: false },
    });
  });

  it.each([
    ['is doubted when it had to be taken out', {}, true],
    ['is not doubted when its pods did not get ready', { isPullable: true }, undefined],
  ])('its copy %s', (_, why, isDoubted) => {
    const hold = { untilMs: 1, failures: 1, images: new Map([['app', 'nginx:1.27']]), refresh: '', ...why };
    const planned = plan(aSlot('nginx:1.27'), { record: { ...record, hold } });
    expect(planned).toMatchObject({ is: 'to be backed up' });
    expect(planned?.is === 'to be backed up' && planned.request.isDoubted).toBe(isDoubted);
  });

  it('wants the image that its pods run by now', () => {
    const pods = [aPodOf(aWorkload(), OTHER_DIGEST)];
    expect(plan(aSlot('nginx:1.27'), { record, pods })).toMatchObject({
      request: { reported: [OTHER_DIGEST] },
    });
  });

  it.each([
    ['of another workload', { uid: 'uid-2' }],
    ['that names a copy of another image', { copies: new Map([['app', copy.replace('nginx', 'evil')]]) }],
  ])('believes no record %s', { tags: 'attack-annotation' }, (_, forged) => {
    const result = plan(aSlot('nginx:1.27'), { record: { ...record, ...forged } });
    expect(result && isCopied(result) && result.request.digest).toBeUndefined();
  });
});

describe('after the prefix was changed', () => {
  const old = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
  const record = {
    ...NO_RECORD,
    originals: new Map([['app', 'nginx:1.27']]),
    copies: new Map([['app', old]]),
  };

  it('copies the original again, not the old copy', () => {
    expect(sourceOf(plan(aSlot(old), { record }))).toBe('docker.io/library/nginx:1.27');
  });

  it.each([old, 'old.example/q/docker.io/library/nginx:1.27'])(
    'a pod of %s shows nothing of who may read the source: anybody may have such a prefix',
    { tags: 'attack-annotation' },
    (copy) => {
      const imageId = `old.example/q/docker.io/library/nginx@${DIGEST}`;
      const containers = [{ name: 'app', image: copy, imageId }];
      const pods = [aPodOf(aWorkload({ slots: [aSlot(copy)] }), DIGEST, { containers })];
      const forged = { ...record, copies: new Map([['app', copy]]) };
      const result = plan(aSlot(copy), { record: forged, pods });
      expect(result).toMatchObject({ reports: [{ of: 'elsewhere' }], request: { isProven: false } });
      expect(result).not.toHaveProperty('request.reported');
    },
  );

  it('takes a new image of the user for what it is', () => {
    expect(sourceOf(plan(aSlot('nginx:1.28'), { record }))).toBe('docker.io/library/nginx:1.28');
  });

  it.each([
    ['names another image', 'evil/x:1'],
    ['is no reference', '--help'],
  ])('does not believe a record that %s', { tags: 'attack-annotation' }, (_, original) => {
    const forged = { ...record, originals: new Map([['app', original]]) };
    expect(sourceOf(plan(aSlot(old), { record: forged }))).toBe(old);
  });
});
