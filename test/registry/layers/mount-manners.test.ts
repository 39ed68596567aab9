import { beforeEach, expect, it } from 'vitest';

import { createMountManners, type MountManners } from '../../../src/registry/layers/mount-manners.ts';

const BACKUP = 'https://b.io';
const HOUR_MS = 3_600_000;

let nowMs: number;
let manners: MountManners;
beforeEach(() => {
  nowMs = 0;
  manners = createMountManners({ monotonicMs: () => nowMs });
});

it.each(['unmounted', 'refused'] as const)(
  'a backup that has never mounted is not asked again for an hour: %s',
  (result) => {
    expect(manners.mayAsk(BACKUP)).toBe(true);
    manners.note(BACKUP, result);
    nowMs = HOUR_MS - 1;
    expect(manners.mayAsk(BACKUP)).toBe(false);
    expect(manners.mayAsk('https://c.io')).toBe(true);
    nowMs = HOUR_MS;
    expect(manners.mayAsk(BACKUP)).toBe(true);
  },
);

it('a backup that mounts may lack a layer now and then', () => {
  for (let round = 0; round < 3; round += 1) {
    manners.note(BACKUP, 'mounted');
    for (let refusals = 0; refusals < 4; refusals += 1) {
      manners.note(BACKUP, 'unmounted');
    }
    expect(manners.mayAsk(BACKUP)).toBe(true);
  }
});

it('a backup that mounts no longer is not asked again', () => {
  manners.note(BACKUP, 'mounted');
  for (let refusals = 0; refusals < 5; refusals += 1) {
    manners.note(BACKUP, 'unmounted');
  }
  expect(manners.mayAsk(BACKUP)).toBe(false);
});

it('that a layer is missing says nothing of how a backup mounts', () => {
  manners.note(BACKUP, 'missing');
  expect(manners.mayAsk(BACKUP)).toBe(true);
});
