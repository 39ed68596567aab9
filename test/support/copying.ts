/** The copy loop over real registries, without a cluster: one image after the other, as a pass would look at it. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { parseReference } from '../../src/images/reference.ts';
import { createCopyReconciler } from '../../src/reconcile/copies/copy-reconciler.ts';
import type { CopyRequest, CopyState } from '../../src/reconcile/copies/copy-state.ts';
import { CopyStore, copyKey } from '../../src/reconcile/copies/copy-store.ts';
import { createImageRegistry } from '../../src/registry/image-registry.ts';
import { parseSettings } from '../../src/settings/settings.ts';
import { toRegistrySettings } from '../../src/runtime/loops/copy-loop.ts';

export interface CopyingOptions {
  /** Path of `regctl`. */
  readonly program: string;
  /** REGISTRY_PREFIX, INSECURE_REGISTRIES and others. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface Copying {
  /** One pass over the copy of an image; returns what has come out, whether the queue would back off or not. */
  pass(image: string, more?: Partial<CopyRequest>): Promise<CopyState | undefined>;
  /** As after a restart. */
  forget(): void;
}

export function startCopying({ program, settings: data }: CopyingOptions): Copying {
  const settings = parseSettings(data, {});
  const copies = new CopyStore({ onWanted: () => undefined, onSettled: () => undefined });
  const registry = createImageRegistry({
    settings: () => toRegistrySettings(settings),
    configFolder: undefined,
    program,
    environment: { PATH: process.env['PATH'] },
    clock: systemClock,
  });
  onTestFinished(() => registry.close());
  const reconcile = createCopyReconciler({
    registry,
    copies,
    settings: () => settings,
    log: pino({ enabled: false }),
    nowMs: Date.now,
    random: () => 0.5,
    onCopied: () => undefined,
  });
  return {
    async pass(image, more = {}) {
      const request: CopyRequest = { source: parseReference(image), isProven: true, ...more };
      copies.want('Deployment/shop/web', [request]);
      await reconcile(copyKey(request), new AbortController().signal).catch(() => undefined);
      return copies.findLast(request);
    },
    forget: () => copies.clear(),
  };
}
