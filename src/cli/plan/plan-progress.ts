import type { PreviewProgress } from '../../reconcile/preview/preview-progress.ts';
import type { Terminal } from '../terminal.ts';

/** Often enough to be seen moving. */
const BETWEEN_LINES_MS = 100;

const NUMBERS = new Intl.NumberFormat('en-US');

function countOf(done: number, all: number, what: string): string {
  return `${NUMBERS.format(done)} of ${NUMBERS.format(all)} ${what}${all === 1 ? '' : 's'}`;
}

/** Images are told of last: most are looked at when all workloads have been. */
function describe({ workloads, images, knownImages }: PreviewProgress, all: number): string {
  const ofImages = images === 0 ? '' : `, ${countOf(images, knownImages, 'image')}`;
  return `looked at ${countOf(workloads, all, 'workload')}${ofImages}`;
}

export interface PlanProgressOptions {
  readonly terminal: Pick<Terminal, 'show'>;
  readonly workloads: number;
  readonly nowMs: () => number;
}

/** Shows whoever watches how far a plan is, now and then. */
export function createPlanProgress(options: PlanProgressOptions): (progress: PreviewProgress) => void {
  const { terminal, workloads, nowMs } = options;
  let shownAtMs = -Infinity;
  return (progress) => {
    if (nowMs() - shownAtMs >= BETWEEN_LINES_MS) {
      shownAtMs = nowMs();
      terminal.show(describe(progress, workloads));
    }
  };
}
