import {
  type LeaderElection,
  type LeaderElectionOptions,
  createIdentity,
  createLeaderElection,
} from '../kubernetes/election/leader-election.ts';
import { type Memo, NO_MEMO } from '../reconcile/rollouts/swap-stops.ts';
import { annotationKey } from '../workloads/annotations.ts';
import { LEASE_NAME } from './identity.ts';

/** The right to write, which one replica has at most. */
export interface Lease extends Pick<
  LeaderElection,
  'run' | 'release' | 'isLeader' | 'assertMayWrite' | 'renewalAgeMs'
> {
  /** What the leader before has left to this one, and this one leaves to the next. */
  readonly memo: Memo;
  /** Settles when it is ours. */
  readonly taken: Promise<void>;
  /** Aborted when it was lost, and not released: the process should end. */
  readonly lost: AbortSignal;
}

export interface LeaseOptions extends Pick<
  LeaderElectionOptions,
  'connection' | 'namespace' | 'clock' | 'log'
> {
  /** Of the pod, or the machine. */
  readonly instance: string;
}

/** For one of several replicas. */
export function createSharedLease(options: LeaseOptions): Lease {
  const taken = Promise.withResolvers<void>();
  const lost = new AbortController();
  const election = createLeaderElection({
    ...options,
    name: LEASE_NAME,
    memoKey: annotationKey('failed-swaps'),
    identity: createIdentity(options.instance),
    random: Math.random,
    onStartedLeading: () => taken.resolve(),
    onLost: () => lost.abort(),
  });
  return {
    async run(signal) {
      options.log.info('waiting for the lease');
      await election.run(signal);
    },
    release: () => election.release(),
    isLeader: () => election.isLeader(),
    assertMayWrite: () => election.assertMayWrite(),
    renewalAgeMs: () => election.renewalAgeMs(),
    memo: { read: () => election.memo(), write: (text) => election.leave(text) },
    taken: taken.promise,
    lost: lost.signal,
  };
}

/** For a process with which nobody competes, and that remembers nothing of the one before. */
export function createLoneLease(): Lease {
  const taken = Promise.withResolvers<void>();
  let isTaken = false;
  return {
    async run() {
      isTaken = true;
      taken.resolve();
    },
    release: async () => undefined,
    isLeader: () => isTaken,
    assertMayWrite: () => undefined,
    renewalAgeMs: () => undefined,
    memo: NO_MEMO,
    taken: taken.promise,
    lost: new AbortController().signal,
  };
}
