/** Each invariant, broken on purpose: a soak that finds nothing proves something only if it would have found it. */
import { expect, it } from 'vitest';

import {
  checkBlocks,
  checkHealth,
  checkImage,
  checkImageId,
  checkLease,
  checkMemory,
  checkShares,
  checkTag,
  findMedian,
  type LeaseState,
  type Sample,
  sumMemory,
} from './checks.ts';

const MIB = 1024 * 1024;
const END_MS = 100_000;

function samples(durationsMs: readonly (number | undefined)[], turn: number): readonly Sample[] {
  return durationsMs.map((durationMs) => ({
    startedAtMs: 1_000,
    endedAtMs: durationMs === undefined ? undefined : 1_000 + durationMs,
    turn,
  }));
}

const ALONE = samples([900, 1_000, 1_000, 1_000, 1_100], 0);

it.each([
  ['twice as long', [2_000, 2_000, 2_000, 2_000, 2_000], 0],
  ['more than twice as long', [2_100, 2_100, 2_100, 2_100, 2_100], 1],
  ['once much longer', [1_000, 1_000, 1_000, 1_000, 60_000], 0],
  ['once never', [1_000, 1_000, 1_000, 1_000, undefined], 1],
  ['never', [undefined, undefined, undefined, undefined, undefined], 2],
  ['too seldom to tell', [1_000], 1],
])('finds what is wrong when it takes others %s', (_, durationsMs, count) => {
  const findings = checkShares('copies', [...ALONE, ...samples(durationsMs, 1)], END_MS);
  expect(findings).toHaveLength(count);
});

it('finds that others have not recovered when the hostile tenant has gone', () => {
  const slow = Array.from({ length: 10 }, () => 3_000);
  const findings = checkShares(
    'copies',
    [...ALONE, ...samples(slow.slice(0, 5), 1), ...samples(slow, 2)],
    END_MS,
  );
  expect(findings).toMatchObject([{ what: expect.stringContaining('has gone') }]);
});

it('takes no measurement alone for a failure, and not for a success', () => {
  expect(checkShares('swaps', samples([1_000, 1_000, 1_000, 1_000, 1_000], 1), END_MS)).toHaveLength(1);
});

it.each([
  [[], 0],
  [[3], 3],
  [[3, 1, 2], 2],
  [[4, 1, 2, 3], 2.5],
])('finds the median of %j', (values, median) => {
  expect(findMedian(values)).toBe(median);
});

it('finds a block of more than 0.2 s of CPU, however long it was by the clock', () => {
  const blocks = [
    { atMs: 1, cpuMs: 200, wallMs: 3_000 },
    { atMs: 2, cpuMs: 201, wallMs: 250 },
  ];
  expect(checkBlocks(blocks).map(({ atMs }) => atMs)).toEqual([2]);
});

const LEASE: LeaseState = { holder: 'a', transitions: 1, renewedAtMs: 10_000, durationMs: 15_000 };

it.each([
  ['kept', LEASE, 0],
  ['renewed', { ...LEASE, renewedAtMs: 20_000 }, 0],
  ['taken by another', { ...LEASE, holder: 'b', transitions: 2 }, 1],
  ['lost and taken again', { ...LEASE, transitions: 2 }, 1],
  ['not renewed in time', { ...LEASE, renewedAtMs: 5_000 }, 1],
])('tells of a Lease that is %s', (_, lease, count) => {
  expect(checkLease(LEASE, lease, 21_000)).toHaveLength(count);
});

it('counts memory as a control group does: what is in files once for each program', () => {
  const engine = { program: 'regctl', anonymousBytes: 30 * MIB, fileBytes: 10 * MIB };
  const controller = { program: 'node', anonymousBytes: 80 * MIB, fileBytes: 50 * MIB };
  expect(sumMemory([controller, engine, engine]) / MIB).toBe(80 + 50 + 30 + 30 + 10);
  expect(checkMemory([controller, engine, engine], 0)).toHaveLength(0);
  expect(checkMemory([controller, engine, engine, engine, engine], 0)).toHaveLength(1);
});

it('wants three answers in a row before it calls the controller dead', () => {
  const answers = [true, false, false, true, false, false].map((isGreen, atMs) => ({ atMs, isGreen }));
  expect(checkHealth(answers)).toHaveLength(0);
  expect(checkHealth([...answers, { atMs: 6, isGreen: false }])).toMatchObject([{ atMs: 4 }]);
});

const EXPECTED = { image: 'source/app:1', copy: 'backup/source/app:1@sha256:aa', digest: 'sha256:aa' };

it.each([
  ['source/app:1', 0],
  ['backup/source/app:1@sha256:aa', 0],
  ['backup/source/app:1@sha256:bb', 1],
  ['backup/evil/app:1@sha256:aa', 1],
])('tells of the image %s in the place of another', (image, count) => {
  expect(checkImage('team/web', image, EXPECTED, 0)).toHaveLength(count);
});

it.each([
  ['', 0],
  ['source/app@sha256:aa', 0],
  ['backup/source/app@sha256:bb', 1],
])('tells of a pod that runs %j', (imageId, count) => {
  expect(checkImageId('team/web', imageId, EXPECTED, 0)).toHaveLength(count);
});

it.each([
  [undefined, 0],
  ['sha256:aa', 0],
  ['sha256:bb', 1],
])('tells of a tag in the backup that means %s', (found, count) => {
  expect(checkTag('app:1', found, 'sha256:aa', 0)).toHaveLength(count);
});
