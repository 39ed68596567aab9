import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { projectNamespace } from '../../kubernetes/decode/namespace.ts';
import { createReflector } from '../../kubernetes/reflector/reflector.ts';

export interface NamespaceWatchOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when the policy of a namespace is another one. */
  readonly onChange: (namespace: string) => void;
}

export interface NamespaceWatch {
  run(signal: AbortSignal): Promise<void>;
  /** Settles when the policies of all namespaces are known, or it is clear that they may not be read. */
  readonly known: Promise<void>;
  /** As it is written on the namespace; undefined when nothing is. */
  findPolicy(namespace: string): string | undefined;
}

/** The policies that users write on namespaces. Without the right to read them the controller works all the same. */
export function createNamespaceWatch({
  connection,
  clock,
  log,
  onChange,
}: NamespaceWatchOptions): NamespaceWatch {
  const forbidden = Promise.withResolvers<void>();
  let isForbidden = false;
  const reflector = createReflector({
    connection,
    path: '/api/v1/namespaces',
    resource: 'namespaces',
    project: projectNamespace,
    onChange: (namespace, now, before) => {
      if (now?.policy !== before?.policy) {
        onChange(namespace);
      }
    },
    onRestart: (reason) => {
      if (reason === 'Forbidden' && !isForbidden) {
        isForbidden = true;
        log.warn('policies of namespaces do not count, because namespaces may not be listed and watched');
        forbidden.resolve();
      }
    },
    log,
    clock,
    random: Math.random,
  });
  return {
    run: (signal) => reflector.run(signal),
    known: Promise.race([reflector.synced, forbidden.promise]),
    findPolicy: (namespace) => reflector.get(namespace)?.policy,
  };
}
