import { beforeEach, expect, it } from 'vitest';

import { findActiveHolder } from '../../../src/cli/restore/lease-watch.ts';
import type { ObservedLease } from '../../../src/kubernetes/election/lease.ts';

let reads = 0;

beforeEach(() => {
  reads = 0;
});

function aLease(holderIdentity: string, renewTime: string): ObservedLease {
  const record = {
    holderIdentity,
    leaseDurationSeconds: 15,
    leaseTransitions: 1,
    acquireTime: '',
    renewTime,
  };
  return { record, memo: undefined, fingerprint: JSON.stringify(record), object: {} };
}

/** The Lease as it is read again and again; the last one stays. */
async function findIn(...leases: readonly (ObservedLease | undefined)[]): Promise<string | undefined> {
  const get = async () => leases[Math.min(reads++, leases.length - 1)];
  return findActiveHolder({ leases: { get }, pollMs: 5 }, new AbortController().signal);
}

it('finds who renews the Lease, whatever the clocks say', async () => {
  const [old, renewed] = [aLease('pod_1', '2001-01-01'), aLease('pod_1', '2001-01-02')];
  expect(await findIn(old, old, renewed)).toBe('pod_1');
});

it('takes a holder that does not renew for dead', async () => {
  const lease = aLease('pod_1', '2026-01-01');
  const record = { ...lease.record, leaseDurationSeconds: 0.02 };
  expect(await findIn({ ...lease, record })).toBeUndefined();
});

it('finds nobody without a Lease, and behind one that was given back', async () => {
  expect(await findIn(undefined)).toBeUndefined();
  expect(await findIn(aLease('', '2026-01-01'))).toBeUndefined();
  expect(reads).toBe(2);
});

it('finds nobody when the holder gives the Lease back while it is looked at', async () => {
  expect(await findIn(aLease('pod_1', '1'), aLease('', '2'))).toBeUndefined();
});
