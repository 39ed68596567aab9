/** Images that do something on a real node: the tiny program of `test/tools/node-program`, in every shape. */
import { readFile } from 'node:fs/promises';
import type { ImageFile, ImageSpec } from '../image-builder.ts';
import type { RegistryConnection } from '../registry.ts';
import { pushImage, type PushedImage } from '../seed-images.ts';

const PROGRAM = 'app/program';
/** Where the program looks for what it is called, in its own image and in an image volume. */
const CONTENT = 'app/content';

interface NodeImage {
  readonly repository: string;
  readonly tag: string;
  readonly format: ImageSpec['format'];
  /** Arguments of the program; `none`: the image has no program. */
  readonly command: readonly string[] | 'none';
}

export const NODE_IMAGES = {
  /** OCI index of two platforms, three layers each. */
  web: { repository: 'shop/web', tag: '1.0', format: 'oci-index', command: ['serve'] },
  webNext: { repository: 'shop/web', tag: '1.1', format: 'oci-index', command: ['serve'] },
  /** Docker manifest list. */
  dockerWeb: { repository: 'library/docker-web', tag: '2.4', format: 'docker-list', command: ['serve'] },
  /** One OCI manifest, no index. */
  single: { repository: 'tools/single', tag: 'v3', format: 'oci-manifest', command: ['serve'] },
  /** Serves on a port that leaves the other one to the main container. */
  sidecar: { repository: 'tools/sidecar', tag: 'v1', format: 'oci-index', command: ['serve', '9090'] },
  /** Ends at once. */
  init: { repository: 'tools/init', tag: 'v1', format: 'oci-manifest', command: ['exit'] },
  /** Only files, for an image volume. */
  files: { repository: 'data/files', tag: '2026.1', format: 'oci-index', command: 'none' },
} as const satisfies Record<string, NodeImage>;

export type NodeImageName = keyof typeof NODE_IMAGES;
export type NodeImages = Readonly<Record<NodeImageName, PushedImage>>;

/** What a container of the image answers with: `shop/web 1.0`. */
export function contentOf({ repository, tag }: Pick<NodeImage, 'repository' | 'tag'>): string {
  return `${repository} ${tag}`;
}

/** `program` is the path of the program; undefined where nothing will run it. */
export async function seedNodeImages(
  registry: RegistryConnection,
  program: string | undefined,
): Promise<NodeImages> {
  const names = Object.keys(NODE_IMAGES) as NodeImageName[];
  const pushed = names.map(async (name) => [name, await pushNodeImage(registry, NODE_IMAGES[name], program)]);
  return Object.fromEntries(await Promise.all(pushed)) as NodeImages;
}

/** The image that holds the network of a pod: there is none to be had from elsewhere. */
export async function pushPauseImage(registry: RegistryConnection, program: string): Promise<PushedImage> {
  const pause: NodeImage = { repository: 'node/pause', tag: '1', format: 'oci-manifest', command: ['wait'] };
  return pushNodeImage(registry, pause, program);
}

/** One more, or another one under a tag that exists. */
export async function pushNodeImage(
  registry: RegistryConnection,
  image: NodeImage & { readonly content?: string },
  program: string | undefined,
): Promise<PushedImage> {
  const { repository, tag, format, command, content = contentOf(image) } = image;
  const file = (path: string, bytes: Buffer): readonly ImageFile[] => [{ path, bytes }];
  const hasProgram = command !== 'none';
  const layers = [
    ...(hasProgram
      ? [file(PROGRAM, program ? await readFile(program) : Buffer.from('not to be run\n'))]
      : []),
    file(CONTENT, Buffer.from(`${content}\n`)),
    file('app/version', Buffer.from(`${tag}\n`)),
  ];
  const config = hasProgram ? { Entrypoint: [`/${PROGRAM}`], Cmd: command } : { Entrypoint: ['/none'] };
  const platforms = [`linux/${ARCHITECTURE}`, `linux/${ARCHITECTURE === 'amd64' ? 'arm64' : 'amd64'}`];
  return pushImage(registry, { repository, tag, spec: { format, content, platforms, layers, config } });
}

/** Of this machine, in the words of image manifests. */
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
