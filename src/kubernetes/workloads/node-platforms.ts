import type { Clock } from '../../clock.ts';
import type { Connection } from '../connection/api-client.ts';
import { asObject, asText } from '../decode/json.ts';
import { listPages } from '../reflector/list-pages.ts';

/** Nodes of a new platform join seldom, and all workloads ask. */
const KEEP_MS = 60_000;

/** Asks which platforms (`linux/amd64`) the nodes are of, once a minute at most; a failure is not kept. */
export function createNodePlatforms(
  connection: Pick<Connection, 'request'>,
  clock: Clock,
): (signal: AbortSignal) => Promise<readonly string[]> {
  let known: { readonly platforms: readonly string[]; readonly untilMs: number } | undefined;
  return async (signal) => {
    if (!known || known.untilMs <= clock.monotonicMs()) {
      const found = new Set<string>();
      await listPages(connection, { path: '/api/v1/nodes', signal }, (node) => {
        const { operatingSystem, architecture } = asObject(asObject(asObject(node)['status'])['nodeInfo']);
        const platform = [asText(operatingSystem), asText(architecture)];
        // A node that has not told yet cannot run pods yet.
        if (platform.every(Boolean)) {
          found.add(platform.join('/'));
        }
      });
      known = { platforms: [...found].toSorted(), untilMs: clock.monotonicMs() + KEEP_MS };
    }
    return known.platforms;
  };
}
