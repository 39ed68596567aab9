import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Clock, systemClock } from '../../../src/clock.ts';
import {
  type LeaderElection,
  type LeaderElectionOptions,
  createIdentity,
  createLeaderElection,
  NotLeaderError,
} from '../../../src/kubernetes/election/leader-election.ts';
import { asObject } from '../../../src/kubernetes/decode/json.ts';
import { MemoryLease, refuse } from './memory-lease.ts';
import { fakeTime, memoryLog } from '../support.ts';

interface Process {
  readonly election: LeaderElection;
  readonly told: string[];
  readonly stop: AbortController;
  readonly running: Promise<void>;
  leading: AbortSignal | undefined;
}

let lease: MemoryLease;
let processes: Process[];

beforeEach(() => {
  fakeTime();
  lease = new MemoryLease();
  processes = [];
});

afterEach(async () => {
  for (const { stop } of processes) {
    stop.abort();
  }
  await Promise.all(processes.map(({ running }) => running));
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function optionsFor(identity: string, parts: Partial<LeaderElectionOptions> = {}): LeaderElectionOptions {
  return {
    connection: lease.connection,
    namespace: 'ours',
    name: 'lease',
    memoKey: 'memo',
    identity,
    clock: systemClock,
    random: () => 0.5,
    log: memoryLog(),
    onStartedLeading: () => undefined,
    onLost: () => undefined,
    ...parts,
  };
}

function start(identity: string, parts: Partial<LeaderElectionOptions> = {}): Process {
  const told: string[] = [];
  const stop = new AbortController();
  const election = createLeaderElection(
    optionsFor(identity, {
      onStartedLeading: (signal) => {
        told.push('started');
        started.leading = signal;
      },
      onLost: () => told.push('lost'),
      ...parts,
    }),
  );
  const started: Process = { election, told, stop, running: election.run(stop.signal), leading: undefined };
  processes.push(started);
  return started;
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** As another process would hold it, seen for the first time by whoever looks. */
function heldBy(holderIdentity: string, renewTime = '2026-01-01T00:00:00.000000Z'): object {
  return { holderIdentity, leaseDurationSeconds: 15, leaseTransitions: 3, acquireTime: renewTime, renewTime };
}

describe('taking the lease', () => {
  it('creates it when there is none', async () => {
    vi.setSystemTime(new Date('2026-03-01T10:00:00.123Z'));
    const { election, told } = start('a');
    await pass(0);
    expect(election.isLeader()).toBe(true);
    expect(told).toEqual(['started']);
    expect(lease.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime: '2026-03-01T10:00:00.123000Z',
      renewTime: '2026-03-01T10:00:00.123000Z',
    });
  });

  it('takes one that nobody holds at once', async () => {
    lease.put(heldBy(''));
    const { election } = start('a');
    await pass(0);
    expect(election.isLeader()).toBe(true);
    expect(lease.spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: 4 });
  });

  it('waits a whole lease before it takes one that is not renewed, however old its times are', async () => {
    lease.put(heldBy('b', '2001-01-01T00:00:00.000000Z'));
    const { election } = start('a');
    await pass(14_900);
    expect(election.isLeader()).toBe(false);
    await pass(2_600);
    expect(election.isLeader()).toBe(true);
    expect(lease.spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: 4 });
  });

  it('leaves one alone that is renewed, whatever times the holder writes', async () => {
    const { election } = start('a');
    lease.put(heldBy('b'));
    for (let renewals = 0; renewals < 20; renewals++) {
      lease.put(heldBy('b', `2001-01-01T00:00:${String(renewals).padStart(2, '0')}.000000Z`));
      await pass(10_000);
    }
    expect(election.isLeader()).toBe(false);
    expect(election.leader()).toBe('b');
    expect(lease.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('believes the duration of the holder, not its own', async () => {
    lease.put({ ...heldBy('b'), leaseDurationSeconds: 60 });
    const { election } = start('a');
    await pass(59_000);
    expect(election.isLeader()).toBe(false);
    await pass(4_000);
    expect(election.isLeader()).toBe(true);
  });

  it('goes on trying while the API server fails', async () => {
    lease.interfere = () => refuse(500);
    const { election } = start('a');
    await pass(60_000);
    lease.interfere = () => undefined;
    await pass(2_800);
    expect(election.isLeader()).toBe(true);
  });

  it('is won by one of two that try at once', async () => {
    const both = [start('a'), start('b')];
    await pass(30_000);
    expect(both.filter(({ election }) => election.isLeader())).toHaveLength(1);
  });

  it('keeps fields of the Lease that it does not know', async () => {
    lease.put({ ...heldBy(''), strategy: 'OldestEmulationVersion' });
    start('a');
    await pass(0);
    expect(lease.spec['strategy']).toBe('OldestEmulationVersion');
  });
});

describe('keeping the lease', () => {
  it('renews every two seconds with one request, outside of the rate of others', async () => {
    start('a');
    await pass(0);
    const { acquireTime } = lease.spec;
    lease.requests.length = 0;
    await pass(10_000);
    expect(lease.requests.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT', 'PUT', 'PUT']);
    expect(lease.requests[0]).toMatchObject({ isUrgent: true, timeoutMs: 5_000 });
    expect(lease.spec).toMatchObject({ acquireTime, leaseTransitions: 0 });
    expect(lease.spec['renewTime']).not.toBe(acquireTime);
  });

  it('survives an edit of the Lease by somebody else', async () => {
    const { election } = start('a');
    await pass(0);
    lease.put({ ...lease.spec });
    await pass(2_000);
    expect(election.isLeader()).toBe(true);
    expect(lease.spec['leaseTransitions']).toBe(0);
  });

  it('survives a renewal whose answer was lost', async () => {
    const { election } = start('a');
    await pass(0);
    lease.interfere = ({ method }) => {
      if (method === 'PUT') {
        lease.interfere = () => undefined;
        lease.put({ ...lease.spec, renewTime: 'arrived' });
        refuse(504);
      }
    };
    await pass(4_000);
    expect(election.isLeader()).toBe(true);
  });

  it('survives failures that are shorter than the deadline', async () => {
    const { election, told } = start('a');
    await pass(0);
    lease.interfere = () => refuse(500);
    await pass(9_900);
    lease.interfere = () => undefined;
    await pass(2_000);
    expect(election.isLeader()).toBe(true);
    expect(told).toEqual(['started']);
  });

  it('is given up when it cannot be renewed, before anybody else may take it', async () => {
    const { election, told, leading } = start('a');
    expect(leading).toBeUndefined();
    await pass(0);
    lease.interfere = () => refuse(500);
    await pass(12_100);
    expect(election.isLeader()).toBe(false);
    expect(told).toEqual(['started', 'lost']);
    expect(processes[0]?.leading?.aborted).toBe(true);
    await processes[0]?.running;
  });

  it('is given up when requests hang', async () => {
    const { told } = start('a');
    await pass(0);
    lease.interfere = ({ signal }) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('ended')));
      });
    await pass(12_100);
    expect(told).toEqual(['started', 'lost']);
  });

  it('is given up at once when somebody else has it', async () => {
    const { told } = start('a');
    await pass(0);
    lease.put(heldBy('b'));
    await pass(2_000);
    expect(told).toEqual(['started', 'lost']);
    expect(lease.spec['holderIdentity']).toBe('b');
  });

  it('is given up when somebody else had it, even if it has run out since', async () => {
    const { told } = start('a');
    await pass(0);
    lease.put({ ...heldBy('b'), leaseDurationSeconds: 0 });
    await pass(2_000);
    expect(told).toEqual(['started', 'lost']);
  });
});

describe('writing', () => {
  it('is allowed only while the lease is surely ours', async () => {
    const { election } = start('a');
    expect(election.mayWrite()).toBe(false);
    expect(() => election.assertMayWrite()).toThrow(NotLeaderError);
    await pass(0);
    expect(election.mayWrite()).toBe(true);
    lease.interfere = () => refuse(500);
    await pass(9_999);
    expect(election.mayWrite()).toBe(true);
    await pass(1);
    expect([election.mayWrite(), election.isLeader()]).toEqual([false, true]);
    expect(election.renewalAgeMs()).toBe(10_000);
  });

  it('counts from when the renewal was sent, not from when it was answered', async () => {
    let answer: () => void = () => undefined;
    lease.interfere = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const { election } = start('a');
    await pass(0);
    answer();
    await pass(4_000);
    answer();
    await pass(0);
    expect(election.renewalAgeMs()).toBe(4_000);
  });

  it.each([
    ['a process that was stopped', { monotonicMs: 20_000, nowMs: 20_000 }],
    ['a machine that was suspended', { monotonicMs: 10, nowMs: 20_000 }],
  ])('is not allowed to %s until it has looked', async (_, jump) => {
    let offset = { monotonicMs: 0, nowMs: 0 };
    const clock: Clock = {
      monotonicMs: () => systemClock.monotonicMs() + offset.monotonicMs,
      nowMs: () => systemClock.nowMs() + offset.nowMs,
    };
    const { election } = start('a', { clock });
    await pass(0);
    offset = jump;
    expect(election.mayWrite()).toBe(false);
    await pass(2_000);
    expect(election.mayWrite()).toBe(true);
  });
});

it('a clock that is set back, or ahead and back, loses nothing and frees nothing', async () => {
  let jumpMs = 0;
  const clock: Clock = {
    monotonicMs: () => systemClock.monotonicMs(),
    nowMs: () => systemClock.nowMs() + jumpMs,
  };
  const { election } = start('a', { clock });
  const other = start('b', { clock });
  await pass(0);
  for (jumpMs of [-3_600_000, 3_600_000, 0]) {
    await pass(30_000);
    expect([election.mayWrite(), other.election.mayWrite()]).toEqual([true, false]);
  }
});

describe('handing over', () => {
  it('frees the lease, so that another takes it within three seconds', async () => {
    const first = start('a');
    await pass(0);
    const second = start('b');
    await pass(10_000);
    await first.election.release();
    expect(lease.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 0 });
    expect(first.election.isLeader()).toBe(false);
    expect(first.leading?.aborted).toBe(true);
    await pass(2_800);
    expect(second.election.isLeader()).toBe(true);
    expect(first.told).toEqual(['started']);
  });

  it('takes a lease that is not released after it has run out', async () => {
    const first = start('a');
    await pass(0);
    const second = start('b');
    await pass(1_000);
    first.stop.abort();
    await pass(17_800);
    expect(second.election.isLeader()).toBe(true);
  });

  it('tries again when the last renewal came in between', async () => {
    const { election } = start('a');
    await pass(0);
    let conflicts = 0;
    lease.interfere = ({ method }) => {
      if (method === 'PUT' && conflicts < 2) {
        conflicts += 1;
        refuse(409);
      }
    };
    await election.release();
    expect(lease.spec['holderIdentity']).toBe('');
  });

  it('frees a lease that was created although nobody waited for the answer any more', async () => {
    lease.interfere = ({ method, body, signal }) => {
      if (method !== 'POST') {
        return undefined;
      }
      lease.put(asObject(asObject(body)['spec']));
      return new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('ended')));
      });
    };
    const { election } = start('a');
    await pass(0);
    expect(lease.spec['holderIdentity']).toBe('a');
    await election.release();
    expect(lease.spec['holderIdentity']).toBe('');
  });

  it('leaves the lease of another alone', async () => {
    lease.put(heldBy('b'));
    const { election } = start('a');
    await pass(5_000);
    await election.release();
    expect(lease.spec['holderIdentity']).toBe('b');
  });

  it('does not fail, nor hang, when the API server does', async () => {
    const { election } = start('a');
    await pass(0);
    lease.interfere = ({ signal }) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('ended')));
      });
    const releasing = election.release();
    await pass(10_000);
    await releasing;
  });

  it('asks nothing when it was never started', async () => {
    await createLeaderElection(optionsFor('a')).release();
    expect(lease.requests).toEqual([]);
  });
});

it('refuses times that cannot work', () => {
  const withTimes = (times: Partial<LeaderElectionOptions>) => () =>
    createLeaderElection(optionsFor('a', times));
  expect(withTimes({ renewDeadlineMs: 15_000 })).toThrow(RangeError);
  expect(withTimes({ retryPeriodMs: 9_000 })).toThrow(RangeError);
  expect(withTimes({ identity: '' })).toThrow(RangeError);
  expect(withTimes({})).not.toThrow();
});

it('gives every process an identity of its own', () => {
  expect(createIdentity('pod-1')).toMatch(/^pod-1_[0-9a-f-]{36}$/u);
  expect(createIdentity('pod-1')).not.toBe(createIdentity('pod-1'));
});

describe('what a leader leaves', () => {
  it('is written with the next renewal, without a request of its own, and read by the next leader', async () => {
    const first = start('a');
    await pass(0);
    expect(first.election.memo()).toBeUndefined();
    first.election.leave('two have failed');
    const requests = lease.requests.length;
    await pass(2_000);
    expect(lease.requests).toHaveLength(requests + 1);
    expect(lease.annotations).toEqual({ memo: 'two have failed' });
    first.stop.abort();
    await pass(0);
    const second = start('b');
    await pass(60_000);
    expect(second.election.isLeader()).toBe(true);
    expect(second.election.memo()).toBe('two have failed');
  });

  it('is written when the lease is released', async () => {
    const { election } = start('a');
    await pass(0);
    election.leave('three have failed');
    await election.release();
    expect(lease.annotations).toEqual({ memo: 'three have failed' });
  });

  it('stays until the next leader has something to say, and what others have written stays in any case', async () => {
    lease.put(heldBy(''), { annotations: { memo: 'old', theirs: 'x' } });
    const { election } = start('a');
    await pass(10_000);
    expect(lease.annotations).toEqual({ memo: 'old', theirs: 'x' });
    election.leave('');
    await pass(2_000);
    expect(lease.annotations).toEqual({ theirs: 'x' });
  });

  it('is what the holder has written, whatever was left by one that waits', async () => {
    lease.put(heldBy('b'), { annotations: { memo: 'old' } });
    const { election } = start('a');
    await pass(0);
    election.leave('');
    lease.put(heldBy('b'), { annotations: { memo: 'three have failed' } });
    await pass(60_000);
    expect(election.isLeader()).toBe(true);
    expect([election.memo(), lease.annotations]).toEqual([
      'three have failed',
      { memo: 'three have failed' },
    ]);
  });

  it('is not what one had to say that has lost the lease since', async () => {
    const { election } = start('a');
    await pass(0);
    election.leave('two have failed');
    lease.put(heldBy('b'), { annotations: { memo: 'three have failed' } });
    await pass(20_000);
    expect([election.isLeader(), election.memo()]).toEqual([false, 'three have failed']);
  });
});
