import type { Logger } from 'pino';

import type { Clock } from '../../clock.ts';
import type { Connection } from '../../kubernetes/connection/api-client.ts';
import { type Reflector, createReflector } from '../../kubernetes/reflector/reflector.ts';
import { projectPullSecret } from '../../kubernetes/secrets/secret-client.ts';
import type { PullSecret, PullSecretStore } from '../../reconcile/ports.ts';

export interface PullSecretWatchOptions {
  readonly connection: Connection;
  /** Of the controller. */
  readonly ownNamespace: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of the namespace in which a Secret was created, changed or deleted. */
  readonly onChange: (namespace: string) => void;
  /** Told when all are known. */
  readonly onSynced: () => void;
}

/** The Secrets of one name in all namespaces, kept up to date; of no name at first. */
export class PullSecretWatch implements PullSecretStore {
  readonly #options: PullSecretWatchOptions;
  #name = '';
  #isForbidden = false;
  #reflector: Reflector<PullSecret> | undefined;
  #stopping = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  constructor(options: PullSecretWatchOptions) {
    this.#options = options;
  }

  /** Which Secrets to watch from now on; undefined: none. */
  setName(name: string | undefined): void {
    if (name === this.#name) {
      return;
    }
    void this.stop();
    this.#name = name ?? '';
    this.#isForbidden = false;
    this.#reflector = name === undefined ? undefined : this.#start(name);
  }

  state(): ReturnType<PullSecretStore['state']> {
    if (this.#isForbidden) {
      return 'forbidden';
    }
    return this.#reflector?.hasSynced() === true ? 'known' : 'loading';
  }

  get(namespace: string): PullSecret | undefined {
    return this.#reflector?.get(`${namespace}/${this.#name}`);
  }

  list(): readonly PullSecret[] {
    return this.#reflector?.list() ?? [];
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  #start(name: string): Reflector<PullSecret> {
    const { connection, ownNamespace, clock, log, onChange, onSynced } = this.#options;
    const stopping = new AbortController();
    const reflector = createReflector({
      connection,
      path: '/api/v1/secrets',
      query: { fieldSelector: `metadata.name=${name}` },
      resource: 'secrets',
      project: (object) => projectPullSecret(object, ownNamespace),
      onChange: (key) => {
        if (!stopping.signal.aborted) {
          onChange(key.split('/')[0] ?? '');
        }
      },
      onForbidden: (refusals) => {
        this.#isForbidden = refusals > 0 && !stopping.signal.aborted;
      },
      log,
      clock,
      random: Math.random,
    });
    this.#stopping = stopping;
    this.#ended = reflector.run(stopping.signal);
    void reflector.synced.then(onSynced);
    return reflector;
  }
}
