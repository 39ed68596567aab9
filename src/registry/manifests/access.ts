import type { Clock } from '../../clock.ts';
import type { RegistrySide } from '../../errors.ts';
import type { Credential } from '../credentials/credentials.ts';
import type { ResolveHost } from './forwarding.ts';
import type { HttpClient } from './http-client.ts';
import type { HostSilences } from '../limits/host-silences.ts';

/** What is to be done at a registry, and as whom. */
export interface Access {
  readonly origin: URL;
  readonly repository: string;
  readonly actions: 'pull' | 'pull,push' | 'delete';
  /** Another repository of the registry, which is to be read. */
  readonly from?: string;
  readonly credential: Credential | undefined;
  readonly side: RegistrySide;
  /** For messages, starting with a verb: `looking up b.io/x:1`. */
  readonly doing: string;
  readonly signal: AbortSignal;
  /** Secrets that somebody got to see on the way: whatever comes back may have them in it. */
  readonly shown: Set<string>;
}

/** What talking to registries needs from outside. */
export interface RegistryDeps {
  readonly http: HttpClient;
  readonly resolveHost: ResolveHost;
  readonly silences: HostSilences;
  readonly clock: Clock;
}
