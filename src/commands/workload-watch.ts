import type { Logger } from 'pino';

import type { Clock } from '../clock.ts';
import type { Connection } from '../kubernetes/connection/api-client.ts';
import { projectWorkload } from '../kubernetes/projection.ts';
import { type Reflector, createReflector } from '../kubernetes/reflector/reflector.ts';
import type { WorkloadStore } from '../reconcile/ports.ts';
import { KINDS, type WorkloadKind, type WorkloadName, formatWorkloadKey } from '../workloads/kinds.ts';
import type { Workload } from '../workloads/workload.ts';
import { createNamespaceWatch } from './namespace-watch.ts';

export interface WorkloadWatchOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly log: Logger;
  /** Workloads out of scope are invisible to the loops, as if they did not exist. */
  readonly isInScope: (name: WorkloadName) => boolean;
  /** Told of every change of a workload in scope or of the policy of its namespace, and with undefined of its end. */
  readonly onChange: (key: string, workload: Workload | undefined) => void;
}

export interface WorkloadWatch extends WorkloadStore {
  run(signal: AbortSignal): Promise<void>;
  /** Settles when the workloads of all kinds are known, and the policies of their namespaces as far as they may be. */
  readonly synced: Promise<unknown>;
  hasSynced(): boolean;
  /** Of the kind that has heard nothing for the longest time. */
  lastActivityAgeMs(): number;
}

/** The workloads of the cluster, of all kinds, kept up to date. */
export function createWorkloadWatch(options: WorkloadWatchOptions): WorkloadWatch {
  const { connection, clock, log, isInScope, onChange } = options;
  const kinds = Object.keys(KINDS) as WorkloadKind[];
  const reflectors = new Map<WorkloadKind, Reflector<Workload>>(
    kinds.map((kind) => [
      kind,
      createReflector({
        connection,
        path: `${KINDS[kind].path}/${KINDS[kind].plural}`,
        resource: KINDS[kind].plural,
        project: (object) => projectWorkload(kind, object),
        onChange: (_, now, before) => {
          const workload = now ?? before;
          if (workload && isInScope(workload)) {
            onChange(formatWorkloadKey(workload), now);
          }
        },
        log,
        clock,
        random: Math.random,
      }),
    ]),
  );
  const all = [...reflectors.values()];
  const list = (): Workload[] => all.flatMap((reflector) => reflector.list()).filter(isInScope);
  const namespaces = createNamespaceWatch({
    connection,
    clock,
    log,
    onChange: (namespace) => {
      for (const workload of list().filter((one) => one.namespace === namespace)) {
        onChange(formatWorkloadKey(workload), workload);
      }
    },
  });
  return {
    get(name) {
      return isInScope(name) ? reflectors.get(name.kind)?.get(`${name.namespace}/${name.name}`) : undefined;
    },
    list,
    findNamespacePolicy: (namespace) => namespaces.findPolicy(namespace),
    async run(signal) {
      await Promise.all([namespaces, ...all].map((one) => one.run(signal)));
    },
    synced: Promise.all([namespaces.known, ...all.map((reflector) => reflector.synced)]),
    hasSynced: () => all.every((reflector) => reflector.hasSynced()),
    lastActivityAgeMs: () => Math.max(...all.map((reflector) => reflector.lastActivityAgeMs())),
  };
}
