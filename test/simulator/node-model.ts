import {
  findReference,
  formatReference,
  parseReference,
  type Reference,
} from '../../src/images/reference.ts';
import { HOSTS, PLATFORMS, type Platform, type RegistryModel } from './registry-model.ts';

/** What a runtime calls an image that it has: all of these are right, and a cluster may have any of them. */
export const RUNTIMES = ['the index', 'the manifest of its platform', 'the name it got first'] as const;
export type Runtime = (typeof RUNTIMES)[number];

/** What becomes on a node of images from the backup, besides that they may not be pulled. */
export const QUIRKS = ['none', 'copies crash', 'copies do not get ready'] as const;
export type Quirk = (typeof QUIRKS)[number];

export interface ModelNode {
  readonly platform: Platform;
  runtime: Runtime;
  quirk: Quirk;
  /** What it has called a content first. */
  readonly names: Map<string, string>;
}

/** How a container does on its node. */
export type ContainerState =
  | { readonly is: 'not pulled' }
  | {
      readonly is: 'crashes' | 'not ready' | 'ready';
      /** Digest of the manifest that runs, whatever it was pulled by. */
      readonly content: string;
      /** As the kubelet reports it. */
      readonly imageId: string;
    };

const NOT_PULLED = { is: 'not pulled' } as const;

/** One node of each platform, their runtimes, and what is wrong with them. */
export class NodesModel {
  readonly all: readonly ModelNode[];
  /** False while the nodes cannot pull from the backup. */
  hasBackupAccess = true;
  /** Contents that crash wherever they are pulled from: nobody's fault but theirs. */
  readonly broken = new Set<string>();
  readonly #registries: RegistryModel;

  constructor(registries: RegistryModel, runtimes: readonly Runtime[]) {
    this.#registries = registries;
    this.all = PLATFORMS.map((platform, place) => ({
      platform,
      runtime: runtimes[place] ?? 'the index',
      quirk: 'none',
      names: new Map(),
    }));
  }

  at(place: number): ModelNode {
    const node = this.all[place % this.all.length];
    if (!node) {
      throw new Error('a cluster without nodes');
    }
    return node;
  }

  /** How a container with an image would do on a node; nothing comes of asking. */
  tryOut(image: string, node: ModelNode): ContainerState {
    const reference = findReference(image);
    const digest = reference && this.#findDigest(reference);
    const content = digest === undefined ? undefined : this.#registries.findContent(digest, node.platform);
    if (!reference || digest === undefined || content === undefined || !this.#has(reference, content)) {
      return NOT_PULLED;
    }
    const imageId = this.#report(node, { reference, digest, content });
    return { is: this.#findState(node, reference, content), content, imageId };
  }

  /** The next look of the kubelet at a container: what has started goes on, and what was pulled stays. */
  run(
    image: string,
    { node, before }: { readonly node: ModelNode; readonly before: ContainerState | undefined },
  ): ContainerState {
    if (before === undefined || before.is === 'not pulled') {
      return this.#keep(this.tryOut(image, node), node);
    }
    const is = this.#findState(node, parseReference(image), before.content);
    return before.is === 'ready' ? before : { ...before, is };
  }

  /** What it may call the content from now on. */
  #keep(state: ContainerState, { names }: ModelNode): ContainerState {
    if (state.is !== 'not pulled' && !names.has(state.content)) {
      names.set(state.content, state.imageId);
    }
    return state;
  }

  #findDigest(reference: Reference): string | undefined {
    const isOfBackup = reference.host === HOSTS.backup;
    const side = isOfBackup || reference.host === HOSTS.pullThrough ? 'backup' : 'source';
    const isReachable = this.#registries.isUp[side] && (!isOfBackup || this.hasBackupAccess);
    return isReachable ? this.#registries.find(reference) : undefined;
  }

  /** An index may be there without the manifest that it names. */
  #has({ host, repository }: Reference, content: string): boolean {
    return this.#registries.find({ host, repository, digest: content }) !== undefined;
  }

  #findState(
    { platform, quirk }: ModelNode,
    { host }: Reference,
    content: string,
  ): 'crashes' | 'not ready' | 'ready' {
    const isFromBackup = host === HOSTS.backup || host === HOSTS.pullThrough;
    const isForOther = (this.#registries.findPlatform(content) ?? platform) !== platform;
    if (isForOther || this.broken.has(content) || (isFromBackup && quirk === 'copies crash')) {
      return 'crashes';
    }
    return isFromBackup && quirk === 'copies do not get ready' ? 'not ready' : 'ready';
  }

  #report(
    { runtime, names }: ModelNode,
    image: { readonly reference: Reference; readonly digest: string; readonly content: string },
  ): string {
    const { host, repository } = image.reference;
    const digest = runtime === 'the manifest of its platform' ? image.content : image.digest;
    const name = `${formatReference({ host, repository })}@${digest}`;
    return runtime === 'the name it got first' ? (names.get(image.content) ?? name) : name;
  }
}
