import type { Logger } from 'pino';

import { ApiError } from '../../errors.ts';

/** Tells about a failing resource: in the log once per kind of failure, and when it is over. */
export interface TroubleLog {
  report(err: unknown): void;
  settle(): void;
}

function explainStatus(status: number): string {
  switch (status) {
    case 403:
      return 'not permitted to read a resource: grant get, list and watch on it to the service account';
    case 404:
      return 'resource is not served by this cluster, or not any more';
    case 410:
      return 'resource changed too much meanwhile, reading it anew';
    default:
      return 'cannot read a resource, will retry';
  }
}

export function createTroubleLog(
  log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>,
  resource: string,
  onForbidden: (refusals: number) => void = () => undefined,
): TroubleLog {
  let told: string | undefined;
  let refusals = 0;
  return {
    report(err) {
      const status = err instanceof ApiError ? err.status : undefined;
      const kind = err instanceof ApiError ? `${err.status} ${err.reason}` : 'bug';
      const level = kind === told || status === 410 ? 'debug' : 'warn';
      told = status === 410 ? told : kind;
      log[level](
        { err, resource },
        status === undefined ? 'reading a resource failed' : explainStatus(status),
      );
      if (status === 403) {
        refusals += 1;
        onForbidden(refusals);
      }
    },
    settle() {
      if (told !== undefined) {
        told = undefined;
        log.info({ resource }, 'resource can be read again');
      }
      if (refusals > 0) {
        refusals = 0;
        onForbidden(0);
      }
    },
  };
}
