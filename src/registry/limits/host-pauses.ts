import type { Clock } from '../../clock.ts';
import { RegistryError, type RegistrySide } from '../../errors.ts';
import { keepNewest } from '../../keep-newest.ts';
import { toApiHost } from '../registry-address.ts';

/** Registries that asked to be left alone, and until when. */
export interface HostPauses {
  /**
   * @param doing for the message, starting with a verb
   * @throws {RegistryError} `RateLimited`, without asking the registry, while the host is to be left alone.
   */
  check(host: string, side: RegistrySide, doing: string): void;
  /** Takes note of a 429. */
  remember(host: string, retryAtMs: number): void;
}

/** Workloads name the hosts: of any number of them, the oldest are forgotten. */
const MOST_HOSTS = 1_000;

export function createHostPauses(clock: Clock): HostPauses {
  const pauses = new Map<string, number>();
  const toKey = (host: string): string => toApiHost(host).toLowerCase();
  return {
    check(host, side, doing) {
      const retryAtMs = pauses.get(toKey(host));
      if (retryAtMs === undefined) {
        return;
      }
      if (retryAtMs <= clock.nowMs()) {
        pauses.delete(toKey(host));
        return;
      }
      // A point in time: the same message as long as it is the same pause.
      const until = new Date(retryAtMs).toISOString();
      const message = `${doing}: ${side} registry ${host} asked to be left alone until ${until}`;
      throw new RegistryError(message, { reason: 'RateLimited', side, retryAtMs });
    },
    remember(host, retryAtMs) {
      const key = toKey(host);
      keepNewest(pauses, [key, Math.max(retryAtMs, pauses.get(key) ?? 0)], MOST_HOSTS);
    },
  };
}
