import { beforeEach, describe, expect, it } from 'vitest';

import { parseReference } from '../../../src/images/reference.ts';
import type { CopyRequest, CopyState } from '../../../src/reconcile/copies/copy-state.ts';
import { CopyStore, copyKey } from '../../../src/reconcile/copies/copy-store.ts';
import { DIGEST, OTHER_DIGEST, aVerifiedCopy } from '../../support/builders.ts';

const NGINX: CopyRequest = { source: parseReference('nginx:1.27'), isProven: false };
const REDIS: CopyRequest = { source: parseReference('redis:8'), isProven: false };
const VERIFIED = aVerifiedCopy('backup.example/p/docker.io/library/nginx:1.27');
const FAILED: CopyState = {
  phase: 'failed',
  reason: 'Timeout',
  side: 'source',
  message: 'too slow',
  isFinal: false,
  sinceMs: 0,
};

let wanted: string[];
let woken: string[];
let shared: string[];
let unwanted: string[];
let copies: CopyStore;

beforeEach(() => {
  wanted = [];
  woken = [];
  shared = [];
  unwanted = [];
  copies = new CopyStore({
    onWanted: (key) => wanted.push(key),
    onSettled: (key) => woken.push(key),
    onShared: (key) => shared.push(key),
    onUnwanted: (key) => unwanted.push(key),
  });
});

it('asks for one copy however many workloads want it', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.want('Deployment/b/web', [
    { source: parseReference('docker.io/library/nginx:1.27'), isProven: false },
  ]);
  expect(wanted).toEqual(['docker.io/library/nginx:1.27']);
});

it('tells what runs apart from what the tag means now', () => {
  copies.want('Deployment/a/web', [NGINX, { ...NGINX, digest: DIGEST }]);
  expect(wanted).toHaveLength(2);
});

it('asks again for a copy that failed, once a pod proves that it may be made', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.settle(NGINX, FAILED);
  copies.want('Deployment/b/web', [{ ...NGINX, isProven: true }]);
  expect(wanted).toHaveLength(2);
  expect(copies.findRequest('docker.io/library/nginx:1.27')).toMatchObject({ isProven: true });
});

it('takes a proof even when there was to be none', () => {
  copies.want('Deployment/a/web', [{ ...NGINX, isUnprovable: true }]);
  copies.settle(NGINX, FAILED);
  copies.want('Deployment/b/web', [{ ...NGINX, isProven: true }]);
  expect(copies.findRequest('docker.io/library/nginx:1.27')).toMatchObject({ isProven: true });
});

it('asks again for a copy that is doubted, once', () => {
  const doubted = { ...NGINX, isDoubted: true };
  copies.want('Deployment/a/web', [NGINX]);
  copies.settle(NGINX, VERIFIED);
  copies.want('Deployment/b/web', [doubted]);
  expect(wanted).toHaveLength(2);
  expect(copies.get(doubted)).toEqual({ phase: 'pending' });
  const request = copies.findRequest(copyKey(NGINX));
  expect(request).toEqual(doubted);
  copies.settle(request ?? NGINX, VERIFIED);
  copies.want('Deployment/c/web', [doubted]);
  expect(wanted).toHaveLength(2);
  expect(copies.get(doubted)).toEqual(VERIFIED);
});

it('tells when nobody wants a copy any more', () => {
  copies.want('Deployment/a/web', [NGINX, REDIS]);
  copies.want('Deployment/b/web', [NGINX]);
  copies.want('Deployment/a/web', []);
  expect(unwanted).toEqual([copyKey(REDIS)]);
  copies.clear();
  expect(unwanted).toEqual([copyKey(REDIS), copyKey(NGINX)]);
});

describe('the share of a copy', () => {
  it('is that of all namespaces that want it now', () => {
    copies.want('Deployment/a/web', [NGINX]);
    copies.want('Deployment/a/other', [NGINX]);
    copies.want('Deployment/b/web', [NGINX]);
    expect(copies.findShare(copyKey(NGINX)).namespaces).toEqual(['a', 'b']);
    copies.want('Deployment/a/web', []);
    expect(copies.findShare(copyKey(NGINX)).namespaces).toEqual(['a', 'b']);
    copies.want('Deployment/a/other', [REDIS]);
    expect(copies.findShare(copyKey(NGINX)).namespaces).toEqual(['b']);
    copies.want('Deployment/b/web', []);
    expect(copies.findShare(copyKey(NGINX)).namespaces).toEqual([]);
  });

  it('leaves room for nobody as long as no other namespace wants anything', () => {
    copies.want('Deployment/a/web', [NGINX]);
    copies.want('Deployment/a/other', [REDIS]);
    expect(copies.findShare(copyKey(NGINX)).isAlone).toBe(true);
    copies.want('Deployment/b/web', [REDIS]);
    expect(copies.findShare(copyKey(NGINX)).isAlone).toBe(false);
    copies.want('Deployment/b/web', []);
    expect(copies.findShare(copyKey(NGINX)).isAlone).toBe(true);
  });

  it('is urgent once pods run from it, and when it is to rescue them', () => {
    const rescue = { ...NGINX, isRescue: true };
    const held = { ...NGINX, digest: DIGEST };
    copies.want('Deployment/a/web', [NGINX, rescue, held]);
    const isUrgent = (request: CopyRequest) => copies.findShare(copyKey(request)).isUrgent;
    expect([NGINX, rescue, held].map(isUrgent)).toEqual([false, true, true]);
    copies.settle(NGINX, VERIFIED);
    expect(isUrgent(NGINX)).toBe(true);
  });

  it('is told to be another when one more namespace wants it', () => {
    copies.want('Deployment/a/web', [NGINX]);
    copies.want('Deployment/a/other', [NGINX]);
    expect(shared).toEqual([]);
    copies.want('Deployment/b/web', [NGINX]);
    expect(shared).toEqual([copyKey(NGINX)]);
  });
});

it('wakes every workload that waits when a copy settles', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.want('Deployment/b/web', [NGINX, REDIS]);
  copies.settle(NGINX, VERIFIED);
  expect(woken).toEqual(['Deployment/a/web', 'Deployment/b/web']);
});

it('wakes nobody when the outcome is the same again', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.settle(NGINX, FAILED);
  copies.settle(NGINX, { ...FAILED });
  expect(woken).toHaveLength(1);
});

it('forgets a copy that nobody wants any more', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.want('Deployment/b/web', [NGINX]);
  copies.want('Deployment/a/web', []);
  expect(copies.get(NGINX)).toEqual({ phase: 'pending' });
  copies.want('Deployment/b/web', [REDIS]);
  expect(copies.get(NGINX)).toBeUndefined();
});

it('ignores the outcome of a copy that nobody wants any more', () => {
  copies.settle(NGINX, VERIFIED);
  expect(copies.get(NGINX)).toBeUndefined();
});

it('drops the outcome of work that began under other settings', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.clear();
  copies.want('Deployment/a/web', [{ ...NGINX }]);
  copies.settle(NGINX, VERIFIED);
  expect(copies.get(NGINX)).toEqual({ phase: 'pending' });
});

describe('an outcome of work under way when more became known', () => {
  const PROVEN = { ...NGINX, isProven: true };

  beforeEach(() => {
    copies.want('Deployment/a/web', [NGINX]);
  });

  it('is kept when it is a copy: that was made all the same', () => {
    copies.want('Deployment/a/web', [PROVEN]);
    copies.settle(NGINX, VERIFIED);
    expect(copies.get(PROVEN)).toEqual(VERIFIED);
    expect(woken).toEqual(['Deployment/a/web']);
  });

  it('does not answer what was not asked', () => {
    const doubted = { ...NGINX, isDoubted: true };
    copies.want('Deployment/a/web', [doubted]);
    copies.settle(NGINX, VERIFIED);
    expect(copies.get(doubted)).toEqual({ phase: 'pending' });
  });

  it('is no failure: that may be past by what is known now, and another look tells', () => {
    copies.settle(NGINX, VERIFIED);
    copies.want('Deployment/a/web', [PROVEN]);
    expect(wanted).toHaveLength(1);
    copies.settle(NGINX, FAILED);
    expect(copies.get(PROVEN)).toEqual(VERIFIED);
    expect(wanted).toHaveLength(2);
  });
});

it('has a copy made again that is not there any more', () => {
  copies.want('Deployment/a/web', [NGINX]);
  copies.settle(NGINX, VERIFIED);
  copies.distrust(NGINX, 5);
  expect(copies.get(NGINX)).toMatchObject({ phase: 'failed', side: 'backup', sinceMs: 5 });
  expect(wanted).toHaveLength(2);
});

it('counts copies by phase', () => {
  copies.want('Deployment/a/web', [NGINX, REDIS]);
  copies.settle(NGINX, VERIFIED);
  expect(copies.countPhases()).toEqual({ pending: 1, verified: 1, failed: 0, unexplained: 0 });
});

it('gives nobody what only the pods of a neighbour prove', { tags: 'attack-image' }, () => {
  const pinned = parseReference(`nginx@${DIGEST}`);
  const rescue: CopyRequest = { source: pinned, isProven: false, isRescue: true };
  copies.want('Deployment/a/web', [{ ...rescue, isProven: true }]);
  copies.want('Deployment/b/web', [{ ...rescue, reported: [OTHER_DIGEST] }]);
  copies.want('Deployment/evil/web', [rescue]);
  expect(wanted.map((key) => copies.findRequest(key))).toEqual([
    { ...rescue, isProven: true },
    { ...rescue, reported: [OTHER_DIGEST] },
    rescue,
  ]);
});

describe('what pods report of a copy that is in place', () => {
  const HELD: CopyRequest = { ...NGINX, digest: DIGEST };
  const reporting = (...reported: readonly string[]): CopyRequest => ({ ...HELD, reported });
  const settle = (state: CopyState): void => {
    const [key = ''] = wanted.splice(0);
    const request = copies.findRequest(key);
    if (request) {
      copies.settle(request, state);
    }
  };

  it('does not make another copy of it, with pods and without', () => {
    copies.want('Deployment/a/web', [HELD]);
    settle(FAILED);
    copies.want('Deployment/a/web', [reporting(OTHER_DIGEST)]);
    expect(copies.get(HELD)).toEqual(FAILED);
    settle(FAILED);
    copies.want('Deployment/a/web', [HELD]);
    copies.want('Deployment/a/web', [reporting(OTHER_DIGEST)]);
    // Looked at twice: once for itself, and once to be compared with what pods report.
    expect([wanted, copies.get(reporting(OTHER_DIGEST))]).toEqual([[], FAILED]);
  });

  it('is pending until it was compared with that, for who reports it', () => {
    copies.want('Deployment/a/web', [HELD]);
    settle(VERIFIED);
    copies.want('Deployment/a/web', [reporting(OTHER_DIGEST)]);
    expect(copies.get(reporting(OTHER_DIGEST))).toEqual({ phase: 'pending' });
    expect(copies.get(HELD)).toEqual(VERIFIED);
    settle({ ...VERIFIED, unlike: [OTHER_DIGEST] });
    expect(copies.get(reporting(OTHER_DIGEST))).toMatchObject({ unlike: [OTHER_DIGEST] });
    expect(woken.at(-1)).toBe('Deployment/a/web');
  });

  it('wakes who waits for the comparison although nothing comes of it', () => {
    copies.want('Deployment/a/web', [HELD]);
    settle(VERIFIED);
    copies.want('Deployment/a/web', [reporting(OTHER_DIGEST)]);
    woken = [];
    settle(VERIFIED);
    expect([woken, copies.get(reporting(OTHER_DIGEST))]).toEqual([['Deployment/a/web'], VERIFIED]);
  });

  it('is never left out of a comparison, however much others report', { tags: 'attack-share' }, () => {
    const many = Array.from({ length: 40 }, (_, index) => `sha256:${String(index).padStart(64, '0')}`);
    copies.want('Deployment/evil/web', [reporting(...many)]);
    settle(VERIFIED);
    copies.want('Deployment/a/web', [reporting(OTHER_DIGEST)]);
    settle(VERIFIED);
    expect(copies.get(reporting(OTHER_DIGEST))).toEqual({ phase: 'pending' });
    expect(copies.get(HELD)).toEqual(VERIFIED);
  });

  it('is one copy whatever the order in which most pods report it, where nothing else says what it is', () => {
    copies.want('Deployment/a/web', [{ ...NGINX, reported: [DIGEST, OTHER_DIGEST] }]);
    copies.want('Deployment/a/web', [{ ...NGINX, reported: [OTHER_DIGEST, DIGEST] }]);
    expect(wanted).toHaveLength(1);
  });
});
