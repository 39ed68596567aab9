import { pino } from 'pino';

import { parseReference } from '../../src/images/reference.ts';
import { createCopyReconciler } from '../../src/reconcile/copies/copy-reconciler.ts';
import type { CopyRequest } from '../../src/reconcile/copies/copy-state.ts';
import { CopyStore, copyKey } from '../../src/reconcile/copies/copy-store.ts';
import { planEvents } from '../../src/reconcile/decide/slots/copy-events.ts';
import { DIGEST, aSlot, someSettings } from './builders.ts';
import { MemoryRegistry } from './memory-registry.ts';

/** The image that the world begins with, at its source. */
export const NGINX: CopyRequest = { source: parseReference('nginx:1.27'), isProven: false };
/** Where it is copied to. */
export const COPY = 'backup.example/p/docker.io/library/nginx';
export const NOW_MS = 1_700_000_000_000;

/** The loop of copies, with registries in memory and one workload. */
export interface CopyWorld {
  readonly registry: MemoryRegistry;
  readonly copies: CopyStore;
  readonly outcomes: readonly string[];
  readonly logged: readonly object[];
  /** One pass, as the workload wants it now; an hour goes by until the next. */
  readonly reconcile: (request: CopyRequest, workload?: string) => Promise<{ requeueAfterMs?: number }>;
  /** What the owner of a workload is told that was swapped to it after the first pass, each as `reason: note`. */
  readonly tell: (request: CopyRequest) => readonly string[];
  /** The source does not have the image any more, under no name. */
  readonly loseSource: () => void;
}

export function startCopyWorld(data: Readonly<Record<string, string>> = {}): CopyWorld {
  const registry = new MemoryRegistry({});
  registry.put(parseReference('nginx:1.27'), DIGEST);
  const copies = new CopyStore({ onWanted: () => undefined, onSettled: () => undefined });
  let nowMs = NOW_MS;
  const outcomes: string[] = [];
  const logged: object[] = [];
  const reconcileCopy = createCopyReconciler({
    copies,
    registry,
    settings: () => someSettings(data),
    log: pino({}, { write: (line) => void logged.push(JSON.parse(line) as object) }),
    nowMs: () => nowMs,
    random: () => 0.5,
    onCopied: (result) => outcomes.push(result),
  });
  return {
    registry,
    copies,
    outcomes,
    logged,
    async reconcile(request, workload = 'Deployment/shop/web') {
      copies.want(workload, [request]);
      try {
        return await reconcileCopy(copyKey(request), new AbortController().signal);
      } finally {
        nowMs += 3_600_000;
      }
    },
    tell(request) {
      const slot = aSlot(`${COPY}:1.27@${DIGEST}`);
      const record = { originals: new Map(), copies: new Map(), before: new Map(), swappedAtMs: NOW_MS + 1 };
      const plan = { is: 'backed up', slot, original: 'nginx:1.27', request } as const;
      return planEvents(plan, copies.get(request), record).map(({ reason, note }) => `${reason}: ${note}`);
    },
    loseSource() {
      registry.digests.delete('docker.io/library/nginx:1.27');
      registry.digests.delete(`docker.io/library/nginx@${DIGEST}`);
    },
  };
}
