import type { Clock } from '../../clock.ts';
import { RegistryError, type RegistrySide } from '../../errors.ts';
import { keepNewest } from '../../keep-newest.ts';
import { HttpError } from '../manifests/http-client.ts';

/** Hosts that do not answer. */
export interface HostSilences {
  /**
   * Asks a host, unless it does not answer. `host`: with its port.
   *
   * @throws {RegistryError} `Timeout`, at once and with the time of the next try, while the host is left alone; otherwise what
   *   `question` throws.
   */
  ask<Answer>(host: string, about: Question, question: () => Promise<Answer>): Promise<Answer>;
}

/** For the message. */
export interface Question {
  readonly side: RegistrySide;
  /** Starting with a verb. */
  readonly doing: string;
  readonly repository: string;
  readonly signal: AbortSignal;
}

const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 5 * 60_000;
/** A host that refuses a connection at once keeps nobody waiting. */
const WORTH_A_PAUSE_MS = 1_000;
/** Workloads name the hosts: of any number of them, the oldest are forgotten. */
const MOST_HOSTS = 1_000;

/** Times are monotonic. */
type Known =
  | { readonly answeredAtMs: number }
  /** It did not answer for one repository: a question about another one will tell. */
  | { readonly doubtedFor: string }
  | { readonly pausedAtMs: number; readonly pauseMs: number };

/**
 * What is known of a host after a question that got no answer; undefined when that tells nothing new. A host is silent only
 * when it has answered nobody since, and neither for another repository: a registry may take long for one image, such as one
 * that it has to get from elsewhere, whose owner must not make it pause for all. Of many questions that were asked at the
 * same time, the first ones without an answer say it all.
 */
function planPause(
  known: Known | undefined,
  { repository, askedAtMs, nowMs }: Unanswered,
): Known | undefined {
  if (nowMs - askedAtMs < WORTH_A_PAUSE_MS) {
    return undefined;
  }
  if (known === undefined || 'answeredAtMs' in known) {
    const hasAnswered = known !== undefined && known.answeredAtMs >= askedAtMs;
    return hasAnswered ? undefined : { doubtedFor: repository };
  }
  if ('doubtedFor' in known) {
    return known.doubtedFor === repository ? undefined : { pausedAtMs: nowMs, pauseMs: FIRST_PAUSE_MS };
  }
  const pauseMs = Math.min(2 * known.pauseMs, LONGEST_PAUSE_MS);
  return known.pausedAtMs >= askedAtMs ? undefined : { pausedAtMs: nowMs, pauseMs };
}

interface Unanswered {
  readonly repository: string;
  readonly askedAtMs: number;
  readonly nowMs: number;
}

function isSilence(error: unknown): boolean {
  return !(error instanceof HttpError && error.kind === 'tooLarge');
}

/** Leaves a host alone that does not answer, for longer every time, whoever wants to ask it. */
export function createHostSilences(clock: Clock): HostSilences {
  const hosts = new Map<string, Known>();

  function check(host: string, { side, doing }: Question): void {
    const known = hosts.get(host);
    const restMs = known && 'pauseMs' in known ? known.pausedAtMs + known.pauseMs - clock.monotonicMs() : 0;
    if (restMs > 0) {
      // No point in time: the same message as long as the host does not answer.
      const message = `${doing}: ${side} registry ${host} gives no answer; it is asked again from time to time`;
      throw new RegistryError(message, { reason: 'Timeout', side, retryAtMs: clock.nowMs() + restMs });
    }
  }

  return {
    async ask(host, about, question) {
      check(host, about);
      const askedAtMs = clock.monotonicMs();
      try {
        const answer = await question();
        keepNewest(hosts, [host, { answeredAtMs: clock.monotonicMs() }], MOST_HOSTS);
        return answer;
      } catch (error) {
        const nowMs = clock.monotonicMs();
        const known = isSilence(error)
          ? planPause(hosts.get(host), { repository: about.repository, askedAtMs, nowMs })
          : { answeredAtMs: nowMs };
        if (known && !about.signal.aborted) {
          keepNewest(hosts, [host, known], MOST_HOSTS);
        }
        throw error;
      }
    },
  };
}
