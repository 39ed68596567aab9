import PQueue from 'p-queue';

import { RegistryError } from '../../errors.ts';
import type { LayerClient } from '../manifests/layer-client.ts';
import type { Layer } from '../manifests/listed-layers.ts';
import type { ImageAccess } from '../manifests/image-access.ts';
import { toApiOrigin } from '../registry-address.ts';
import type { LayerOwner, LayerPlace, LayerPlaces } from './layer-places.ts';
import type { MountManners } from './mount-manners.ts';

/** A layer, and where the backup has it. */
export type PlacedLayer = Layer & { readonly place: LayerPlace };

/** A copy that is being made. */
export interface MountTarget {
  readonly owner: LayerOwner;
  readonly source: ImageAccess;
  readonly backup: ImageAccess;
}

/**
 * Asks registries about layers.
 *
 * Both throw a RegistryError only when a registry asks to be left alone: after any other failure a layer is sent.
 */
export interface LayerMounter {
  /** Those that the source says it has, in the repository of the image. */
  listOffered<Some extends Layer>(target: MountTarget, layers: readonly Some[]): Promise<readonly Some[]>;
  /** Those that the backup has taken. */
  mountAll(target: MountTarget, layers: readonly PlacedLayer[]): Promise<readonly PlacedLayer[]>;
}

export interface LayerMounterDeps {
  readonly client: Pick<LayerClient, 'hasLayer' | 'mountLayer'>;
  readonly manners: MountManners;
  readonly places: LayerPlaces;
}

/** For all answers to questions that are asked together. */
const ASK_TIMEOUT_MS = 10_000;
/** At the same time: look-ups of others go to the same host, by a few connections. */
const ASKED_AT_ONCE = 2;

export function createLayerMounter({ client, manners, places }: LayerMounterDeps): LayerMounter {
  async function mountOne({ owner, backup }: MountTarget, { digest, place }: PlacedLayer): Promise<boolean> {
    const origin = toOrigin(backup);
    if (!manners.mayAsk(origin)) {
      return false;
    }
    const { repository: from } = place;
    const asked = client.mountLayer(backup, { digest, from });
    // No answer says nothing about what the backup would do.
    const result = await asked.catch((error: unknown) => orThrow(error, undefined));
    if (result) {
      manners.note(origin, result);
    }
    if (result === 'missing' || result === 'unmounted') {
      places.forget(owner.route, digest, from);
    }
    return result === 'mounted';
  }

  function mountTogether(
    target: MountTarget,
    layers: readonly PlacedLayer[],
  ): Promise<readonly PlacedLayer[]> {
    return filter(layers, (layer) => mountOne(target, layer));
  }

  return {
    listOffered({ source }, layers) {
      const asked = withTimeout(source);
      return filter(layers, ({ digest }) =>
        client.hasLayer(asked, digest).catch((error: unknown) => orThrow(error, false)),
      );
    },

    /** By repository; the first of each alone, for its token serves the others, and a refusal saves them. */
    async mountAll(target, layers) {
      const asked = { ...target, backup: withTimeout(target.backup) };
      const groups = [...Map.groupBy(layers, ({ place }) => place.repository).values()];
      const taken = await Promise.all(
        groups.map(async (group) => [
          ...(await mountTogether(asked, group.slice(0, 1))),
          ...(await mountTogether(asked, group.slice(1))),
        ]),
      );
      return taken.flat();
    },
  };
}

async function filter<Item>(
  items: readonly Item[],
  ask: (item: Item) => Promise<boolean>,
): Promise<readonly Item[]> {
  const queue = new PQueue({ concurrency: ASKED_AT_ONCE });
  const answers = await queue.addAll(items.map((item) => () => ask(item)));
  return items.filter((_, index) => answers[index]);
}

function orThrow<Result>(error: unknown, otherwise: Result): Result {
  const isPassable =
    error instanceof RegistryError
      ? error.reason !== 'RateLimited'
      : error instanceof Error && error.name === 'TimeoutError';
  if (isPassable) {
    return otherwise;
  }
  throw error;
}

function withTimeout(image: ImageAccess): ImageAccess {
  return { ...image, signal: AbortSignal.any([image.signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]) };
}

export function toOrigin({ reference, insecureRegistries }: ImageAccess): string {
  return toApiOrigin(reference.host, insecureRegistries).origin;
}
