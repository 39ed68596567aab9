import type { Clock } from '../../clock.ts';
import { keepNewest } from '../../keep-newest.ts';
import type { LayerClient } from '../manifests/layer-client.ts';
import { keepLargest, type Layer } from '../manifests/listed-layers.ts';
import type { ImageAccess } from '../manifests/image-access.ts';
import { type CopyClaims, LayerClaims } from './layer-claims.ts';
import {
  createLayerMounter,
  type LayerMounter,
  type MountTarget,
  type PlacedLayer,
  toOrigin,
} from './layer-mounter.ts';
import { LayerPlaces } from './layer-places.ts';
import { createMountManners, type MountManners } from './mount-manners.ts';

/** A copy that is about to be made. */
export interface SharedCopy {
  readonly source: ImageAccess;
  readonly backup: ImageAccess;
  /** Whose turn it is. */
  readonly namespace: string;
  /** It waits for no other copy. */
  readonly isUrgent: boolean;
}

/** What one copy has in common with others. */
export interface SharedLayers {
  /**
   * Has the backup take those layers of the image which it has elsewhere, and waits for those that another copy brings. Returns
   * what was taken; all else the engine sends, which looks in the backup for every layer.
   *
   * @throws {RegistryError} only when a registry asks to be left alone.
   */
  mount(layers: readonly Layer[]): Promise<readonly Layer[]>;
  /** The engine gets on with a layer. */
  note(digest: string, state: 'begun' | 'done'): void;
  /** The copy is proven, and these layers are in its repository. */
  learn(layers: readonly Layer[]): void;
  /** Whatever has become of the copy. */
  close(): void;
}

/** Repositories whose last copy failed although layers had been mounted into them; the oldest are forgotten. */
const MOST_FAILED = 1_000;

export interface LayerSharingDeps {
  readonly client: Pick<LayerClient, 'hasLayer' | 'mountLayer'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/**
 * Each layer once: what the backup has in one repository is mounted into others.
 *
 * A mount must not give anybody what they could not read. Whoever builds an image may name any digest in it, that of a layer
 * of somebody else's private image among them; without mounts such an image cannot be copied, because its source does not send
 * that layer. So a layer is only mounted from copies that came from the same registry, asked by the same scheme, host and port;
 * and only when that registry itself says now, in the repository of the image and to the credential with which that is copied,
 * that it has the layer there: with a HEAD, where the engine would GET it. A registry that lies gains nothing, for it has sent
 * that layer itself. One that passes such questions on to others speaks for these.
 *
 * After a copy that failed although layers were mounted for it, the next try sends everything.
 */
export class LayerSharing {
  readonly #places = new LayerPlaces();
  readonly #claims: LayerClaims;
  readonly #manners: MountManners;
  readonly #mounter: LayerMounter;
  readonly #failed = new Map<string, true>();

  constructor({ client, clock }: LayerSharingDeps) {
    this.#claims = new LayerClaims(clock);
    this.#manners = createMountManners(clock);
    this.#mounter = createLayerMounter({ client, places: this.#places, manners: this.#manners });
  }

  /**
   * False when the backup would not be asked: nobody needs to know which layers the image has. What is at the same registry the
   * engine mounts by itself.
   */
  mayMount(source: ImageAccess, backup: ImageAccess): boolean {
    const origin = toOrigin(backup);
    return toOrigin(source) !== origin && !this.#failed.has(toPlace(backup)) && this.#manners.mayAsk(origin);
  }

  open({ source, backup, namespace, isUrgent }: SharedCopy): SharedLayers {
    const { repository } = backup.reference;
    const origin = toOrigin(backup);
    const target = { owner: { route: `${toOrigin(source)} ${origin}`, namespace }, source, backup };
    const own = toPlace(backup);
    let claims: CopyClaims | undefined;
    let hasMounted = false;
    let isProven = false;
    return {
      mount: async (layers) => {
        if (!this.mayMount(source, backup)) {
          return [];
        }
        claims = this.#claims.open(target.owner, repository);
        const taken = await this.#mount({ target, claims, isUrgent }, layers);
        hasMounted = taken.length > 0;
        return taken.map(({ digest, place }) => ({ digest, sizeBytes: place.sizeBytes }));
      },
      note: (digest, state) => claims?.note(digest, state),
      learn: (layers) => {
        isProven = true;
        this.#places.learn(target.owner, repository, keepLargest(layers));
      },
      close: () => {
        claims?.close();
        this.#failed.delete(own);
        if (hasMounted && !isProven) {
          keepNewest(this.#failed, [own, true], MOST_FAILED);
        }
      },
    };
  }

  async #mount(
    { target, claims, isUrgent }: Mounting,
    layers: readonly Layer[],
  ): Promise<readonly PlacedLayer[]> {
    const found = layers.map((layer) => ({ layer, place: this.#findPlace(target, layer) }));
    const known = found.flatMap(({ layer, place }) =>
      place && place !== 'there' ? [{ ...layer, place }] : [],
    );
    const awaited = claims.claim(found.flatMap(({ layer, place }) => (place ? [] : [layer])));
    const stop = new AbortController();
    const stoppable = withSignal(target, stop.signal);
    try {
      const taken = await Promise.all([
        this.#mountKnown(stoppable, known),
        this.#mountAwaited(stoppable, claims, isUrgent ? [] : awaited),
      ]);
      return taken.flat();
    } finally {
      stop.abort();
    }
  }

  #findPlace({ owner, backup }: MountTarget, { digest }: Layer): ReturnType<LayerPlaces['find']> {
    return this.#places.find(owner, { digest, wantedIn: backup.reference.repository });
  }

  async #mountKnown(target: MountTarget, layers: readonly PlacedLayer[]): Promise<readonly PlacedLayer[]> {
    return this.#mounter.mountAll(target, await this.#mounter.listOffered(target, layers));
  }

  /** What the source does not have is not waited for. */
  async #mountAwaited(
    target: MountTarget,
    claims: CopyClaims,
    layers: readonly Layer[],
  ): Promise<readonly PlacedLayer[]> {
    const offered = await this.#mounter.listOffered(target, layers);
    const taken = await Promise.all(
      offered.map(async (layer) => {
        // While the source was asked, the other copy may have ended.
        const place = this.#findPlace(target, layer) ?? (await claims.waitFor(layer, target.backup.signal));
        return place && place !== 'there' ? this.#mounter.mountAll(target, [{ ...layer, place }]) : [];
      }),
    );
    return taken.flat();
  }
}

interface Mounting {
  readonly target: MountTarget;
  readonly claims: CopyClaims;
  readonly isUrgent: boolean;
}

function toPlace(image: ImageAccess): string {
  return `${toOrigin(image)} ${image.reference.repository}`;
}

/** Nothing is asked any more, or waited for, once the signal is aborted. */
function withSignal({ owner, source, backup }: MountTarget, signal: AbortSignal): MountTarget {
  const both = AbortSignal.any([source.signal, signal]);
  return { owner, source: { ...source, signal: both }, backup: { ...backup, signal: both } };
}
