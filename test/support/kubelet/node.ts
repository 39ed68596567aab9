import type { Kube, ObjectReference } from '../kube.ts';
import type { AnyObject, KubeObject, PodSpec } from '../objects.ts';
import { ImageAccess } from './access.ts';
import { ARCHITECTURE, type Credential, type Pull, type PulledImage, type Runtime } from './pull.ts';

/** Any new value makes the node forget the images that it has pulled. */
const FORGET_ANNOTATION = 'test-kubelet/forget-images';

/** Label and taint of nodes that are not for everybody. */
const POOL = 'test-kubelet/pool';

export interface NodeOptions extends Partial<Pick<Runtime, 'reportsPlatform'>> {
  readonly name: string;
  /** Images for others do not start there; default: that of this machine, and all do. */
  readonly architecture?: string;
  /** Only pods that ask for this pool come to the node: see `inPool()`. */
  readonly pool?: string;
}

/** For the pod spec: on nodes of the pool, and on no others. */
export function inPool(pool: string): Pick<PodSpec, 'nodeSelector' | 'tolerations'> {
  return {
    nodeSelector: { [POOL]: pool },
    tolerations: [{ key: POOL, operator: 'Equal', value: pool, effect: 'NoSchedule' }],
  };
}

/** One node: how it is registered, and the images that it has pulled. */
export class TestNode {
  readonly name: string;
  readonly runtime: Runtime;
  private readonly options: NodeOptions;
  private readonly kube: Kube;
  private readonly images = new Map<string, PulledImage>();
  private readonly access = new ImageAccess();
  private forgotten: string | undefined;

  constructor(kube: Kube, options: NodeOptions) {
    const { name, architecture = ARCHITECTURE, reportsPlatform = false } = options;
    this.kube = kube;
    this.name = name;
    this.options = options;
    this.runtime = { architecture, reportsPlatform, runsAll: options.architecture === undefined };
  }

  async register(): Promise<void> {
    await this.kube.apply(nodeObject(this.options, this.runtime));
    await this.renewLease();
  }

  async remove(): Promise<void> {
    await this.kube.delete(referenceToNode(this.name));
  }

  /** The sign of life that the node lifecycle controller looks at. */
  async renewLease(): Promise<void> {
    await this.kube.apply(leaseObject(this.name));
  }

  /**
   * What was pulled for the same text before, unless somebody asked the node to forget it, or these credentials have
   * not pulled it.
   */
  async findImage(image: string, credentials: readonly Credential[]): Promise<PulledImage | undefined> {
    if (!this.images.has(image)) {
      return undefined;
    }
    const node = await this.kube.get(referenceToNode(this.name));
    const asked = node?.metadata.annotations?.[FORGET_ANNOTATION];
    if (asked !== this.forgotten) {
      this.forgotten = asked;
      this.images.clear();
    }
    const found = this.images.get(image);
    return found && this.access.permits(found, credentials) ? this.asReported(found) : undefined;
  }

  keepImage(image: string, pull: Pull): PulledImage {
    const { pulled } = pull;
    this.images.set(image, pulled);
    this.access.remember(pull);
    return this.asReported(pulled);
  }

  /** As containerd reports it: by the first, in the alphabet, of the names that the node has this image under. */
  private asReported<T extends PulledImage | undefined>(pulled: T): T {
    const digest = pulled?.imageID.split('@')[1];
    const names = [...this.images.values()].map(({ imageID }) => imageID);
    const [imageID] = names.filter((name) => name.split('@')[1] === digest).toSorted();
    return pulled && imageID !== undefined ? { ...pulled, imageID } : pulled;
  }
}

/** Empties the image caches of all nodes: from now on every pod start asks the registry. Works from any process. */
export async function forgetPulledImages(kube: Kube): Promise<void> {
  const annotations = { [FORGET_ANNOTATION]: `${Date.now()}-${Math.random()}` };
  const nodes = await kube.list({ apiVersion: 'v1', kind: 'Node' });
  await Promise.all(
    nodes.map(async ({ metadata }) =>
      kube.patch(referenceToNode(metadata.name), { metadata: { annotations } }),
    ),
  );
}

function referenceToNode(name: string): ObjectReference {
  return { apiVersion: 'v1', kind: 'Node', name };
}

function nodeObject({ name, pool }: NodeOptions, { architecture }: Runtime): AnyObject {
  const now = new Date().toISOString();
  const resources = { cpu: '1000', memory: '1Ti', pods: '5000', 'ephemeral-storage': '1Ti' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': architecture,
        ...(pool && { [POOL]: pool }),
      },
    },
    ...(pool && { spec: { taints: [{ key: POOL, value: pool, effect: 'NoSchedule' }] } }),
    status: {
      capacity: resources,
      allocatable: resources,
      addresses: [
        { type: 'InternalIP', address: '127.0.0.1' },
        { type: 'Hostname', address: name },
      ],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'test kubelet is posting ready status',
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
      nodeInfo: {
        architecture,
        operatingSystem: 'linux',
        osImage: 'test kubelet',
        kernelVersion: '0',
        kubeletVersion: 'v1.37.2',
        kubeProxyVersion: '',
        containerRuntimeVersion: 'containerd://2.4.2',
        machineID: name,
        systemUUID: name,
        bootID: name,
      },
    },
  };
}

function leaseObject(name: string): KubeObject & { spec: object } {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: 'kube-node-lease' },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: 600,
      // Kubernetes wants microseconds here.
      renewTime: new Date().toISOString().replace('Z', '000Z'),
    },
  };
}
