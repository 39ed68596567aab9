import type { Clock } from '../../clock.ts';
import { RegistryError } from '../../errors.ts';
import { keepNewest } from '../../keep-newest.ts';

/** What a registry still lets be downloaded, as Docker Hub says with every answer about a manifest. */
export interface Allowance {
  readonly remaining: number;
  /** Undefined when it is not told. */
  readonly limit: number | undefined;
  readonly windowMs: number;
}

/** Reads `ratelimit-remaining: 76;w=21600`; without a window it is a limit of another kind, and undefined. */
export function parseAllowance(readHeader: (name: string) => string | undefined): Allowance | undefined {
  const remaining = parseCount(readHeader('ratelimit-remaining'));
  if (remaining?.windowMs === undefined) {
    return undefined;
  }
  const limit = parseCount(readHeader('ratelimit-limit'))?.count;
  return { remaining: remaining.count, limit, windowMs: remaining.windowMs };
}

/** Too little is left to copy anything: our own decision, and nothing that the registry has asked for. */
export class DownloadsKeptError extends RegistryError {}

/** By host and port of the registry API. */
export interface HostAllowances {
  note(host: string, allowance: Allowance): void;
  /** True when less was left than is to be kept, and that was some time ago: worth a look-up, which costs nothing. */
  isOutdated(host: string): boolean;
  /** It has answered, and told nothing. */
  noteUncounted(host: string): void;
  /**
   * True when downloads may be spent that no copy needs: the host lets very many be made, or has answered without a word about
   * them. False as long as it has not answered. What it has told counts for its window, for images of others and other
   * credentials are not counted.
   */
  isPlenty(host: string): boolean;
  /** It has told, and that still counts. */
  hasTold(host: string): boolean;
  /**
   * @throws {DownloadsKeptError} `RateLimited`, while so little is left that the nodes may need it.
   */
  check(host: string, doing: string): void;
  /** Of the hosts that have told within their window. */
  list(): readonly { readonly host: string; readonly remaining: number }[];
}

/** The nodes come from the same address, or with the same account: what they cannot pull does not start. */
const KEPT_SHARE = 0.2;
const KEPT_UNSAID = 10;
/**
 * What a hundred images take that have ten platforms each. Docker Hub lets 100 or 200 be made in six hours, which is never
 * plenty, and does not count those who pay.
 */
const PLENTY = 1_000;
/** What is used up comes back bit by bit, or all at once at a time that is not told. */
const PAUSE_SHARE = 0.1;
const LONGEST_WINDOW_MS = 24 * 60 * 60_000;
/** Workloads name the hosts: of any number of them, the oldest are forgotten. */
const MOST_HOSTS = 50;
const MOST_UNCOUNTED = 1_000;

export function createHostAllowances(clock: Clock): HostAllowances {
  const told = new Map<string, Allowance & { readonly atMs: number }>();
  const uncounted = new Map<string, true>();

  function find(host: string): { readonly left: Allowance; readonly againMs: number } | undefined {
    const known = told.get(host);
    if (!known || known.atMs + known.windowMs <= clock.nowMs()) {
      told.delete(host);
      return undefined;
    }
    return { left: known, againMs: known.atMs + known.windowMs * PAUSE_SHARE };
  }

  return {
    note(host, allowance) {
      uncounted.delete(host);
      keepNewest(told, [host, { ...allowance, atMs: clock.nowMs() }], MOST_HOSTS);
    },
    isOutdated(host) {
      const known = find(host);
      return known !== undefined && isLow(known.left) && known.againMs <= clock.nowMs();
    },
    noteUncounted: (host) => keepNewest(uncounted, [host, true], MOST_UNCOUNTED),
    isPlenty(host) {
      const known = find(host);
      return known ? known.left.remaining >= PLENTY : uncounted.has(host);
    },
    hasTold: (host) => find(host) !== undefined,
    check(host, doing) {
      const known = find(host);
      if (!known || !isLow(known.left) || known.againMs <= clock.nowMs()) {
        return;
      }
      const { remaining, limit } = known.left;
      const until = new Date(known.againMs).toISOString();
      const message =
        `${doing}: source registry ${host} allows only ${remaining}${limit === undefined ? '' : ` of ${limit}`} more downloads, ` +
        `which are left to the nodes; it is asked again at ${until}`;
      throw new DownloadsKeptError(message, {
        reason: 'RateLimited',
        side: 'source',
        retryAtMs: known.againMs,
      });
    },
    list: () =>
      [...told.keys()].flatMap((host) => {
        const known = find(host);
        return known ? [{ host, remaining: known.left.remaining }] : [];
      }),
  };
}

function isLow({ remaining, limit }: Allowance): boolean {
  return remaining <= (limit === undefined ? KEPT_UNSAID : Math.ceil(limit * KEPT_SHARE));
}

function parseCount(
  header: string | undefined,
): { readonly count: number; readonly windowMs: number | undefined } | undefined {
  const [, count, seconds] = /^(\d{1,9})(?:;w=(\d{1,9}))?$/.exec(header?.trim() ?? '') ?? [];
  if (count === undefined) {
    return undefined;
  }
  const windowMs = seconds === undefined ? undefined : Math.min(Number(seconds) * 1_000, LONGEST_WINDOW_MS);
  return { count: Number(count), windowMs };
}
