import { formatReference } from '../../images/reference.ts';
import { RegistryError, type RegistrySide } from '../../errors.ts';
import type { CopyJob, CopyProgress } from '../../reconcile/ports.ts';
import { describeOperation } from './outcome.ts';
import type { FailedRequest } from './trace.ts';

export interface Overdue {
  readonly job: CopyJob;
  readonly timeoutMs: number;
  readonly progress: CopyProgress;
  /** Requests that had no answer yet when the engine was stopped, as far as it has told. */
  readonly unanswered: readonly FailedRequest[];
  /** What failed before, and was being tried again. */
  readonly failures: readonly FailedRequest[];
}

/** A copy that has taken too long, and whose fault that is as far as the trace tells. */
export function describeTimeout(overdue: Overdue): RegistryError {
  const { job, timeoutMs, progress, failures } = overdue;
  const { layers, layersDone } = progress;
  const slow = findSlow(overdue);
  const done = layers > 0 ? `, with ${layersDone} of ${layers} layers done` : '';
  const message =
    `copying ${formatReference(job.source)} to ${formatReference(job.copy)}: ` +
    `not done after ${Math.round(timeoutMs / 1_000)} s${done}${slow.text}`;
  return new RegistryError(message, {
    reason: 'Timeout',
    side: slow.side ?? failures.at(-1)?.side ?? 'source',
  });
}

/**
 * Who was waited for. While a layer is on its way, its download and its upload are one stream, and nothing tells which
 * end of it is the slow one.
 */
function findSlow({ job, unanswered }: Overdue): { readonly text: string; readonly side?: RegistrySide } {
  const last = unanswered.at(-1);
  if (!last) {
    return { text: '' };
  }
  const isStreaming = unanswered.some(
    ({ method, path }) => (method === 'PUT' || method === 'PATCH') && path.includes('/blobs/uploads/'),
  );
  if (isStreaming) {
    return { text: `; layers were on their way from ${job.source.host} to ${job.copy.host}` };
  }
  const sides = new Set(unanswered.map(({ side }) => side));
  if (sides.size > 1) {
    return { text: '; both registries were slow to answer' };
  }
  const { side, host } = last;
  return { text: `; ${side} registry ${host} had not answered ${describeOperation(last)}`, side };
}
