/**
 * Does with pods what a kubelet does with their images, and nothing else. `test/node` has the real one.
 *
 * Registers nodes; for every pod that the scheduler binds to one of them asks the registry for each image, with the
 * credentials of the pod's `imagePullSecrets` and of the node; reports Running and Ready with `imageID` when all are there, and
 * `ErrImagePull`, then `ImagePullBackOff` when not, and tries again; ends a pod that is being deleted. Nodes keep what
 * they pulled, so `imagePullPolicy` matters as in life (`forgetPulledImages()` empties them all), and give it only to pods
 * whose credentials could pull it (`test/node/pull-secret.test.ts` holds for both kubelets).
 *
 * What it does not prove:
 * - No process runs and no layer is downloaded: an image whose bytes are damaged, that is built for another CPU than its
 *   configuration says, or whose program crashes is Running here. Probes, hooks, volumes and networks are not looked at.
 * - An image crashes when an annotation says so, or when it is for another CPU than that of a node which was given one. It is
 *   shown between two of its tries, and there are no others; a real one runs for a moment each time.
 * - Nodes that report the manifest of their platform take it from an index that names platforms, and never from one in it.
 * - Registries off loopback count as unreachable, so that no test leaves the machine; TLS is not spoken. Tokens are asked
 *   for in one of containerd's two ways (GET), and by the challenge of the distribution registry only.
 * - Credential providers and the tokens of ServiceAccounts are unknown. All images on a node were pulled there: that a
 *   real kubelet gives images that were loaded beforehand, or before it kept such records, to everybody is not seen; nor are
 *   its other policies than `NeverVerifyPreloadedImages`, or that it drops the record of an image with the image's own end.
 * - While an image is being pulled a pod has no container status at all; a real one waits with `ContainerCreating` or
 *   `PodInitializing` first. After a failure it waits one second, a real kubelet ten.
 * - A failure is reported at once. A real kubelet may report that of a container which starts after another one ten seconds
 *   later.
 * - After the image of a waiting pod was changed in place, the failure of the old image is reported beside the new one for a
 *   moment, as by a real kubelet.
 * - containerd reports `imageID` by the first, in the alphabet, of the names under which the node has an image; the same is
 *   done here for names of one digest. It goes by the configuration of the image, so for containerd an index and a single
 *   manifest of the same image are one as well.
 * - A pod is deleted at once; containers never take their grace period.
 * - A container whose image is changed while it runs has the new one at once. Restarts and events of the kubelet do not
 *   exist, nor does eviction by the kubelet; `kubectl drain` works.
 */
import { followObjects } from './follow.ts';
import { type NodeOptions, TestNode } from './kubelet/node.ts';
import { runPod } from './kubelet/pod-worker.ts';
import { isTransient, KubeError } from './kube-error.ts';
import { referenceTo, type Kube } from './kube.ts';
import type { Pod } from './objects.ts';

export { forgetPulledImages, inPool } from './kubelet/node.ts';
export { CRASHING_ANNOTATION, NEVER_READY_ANNOTATION } from './kubelet/pod-status.ts';

export interface TestKubelet {
  readonly nodes: readonly string[];
  stop(): Promise<void>;
  /** Takes the nodes out of the cluster. */
  remove(): Promise<void>;
}

export interface TestKubeletOptions {
  readonly kube: Kube;
  /** To be registered. */
  readonly nodes: readonly NodeOptions[];
  /** Wait before the second try to pull; a real kubelet takes 10 s. */
  readonly backOffMs?: number;
  /** A Docker `config.json` that the nodes use for all pods. */
  readonly nodeConfig?: string;
}

const RENEW_MS = 60_000;

export async function startTestKubelet(options: TestKubeletOptions): Promise<TestKubelet> {
  const { kube, backOffMs = 1_000, nodeConfig = '{}' } = options;
  const nodes = new Map(options.nodes.map((node) => [node.name, new TestNode(kube, node)]));
  await Promise.all([...nodes.values()].map(async (node) => node.register()));

  const stopping = new AbortController();
  const pods = new PodWorkers({ kube, nodes, backOffMs, nodeConfig, signal: stopping.signal });
  const query = { apiVersion: 'v1', kind: 'Pod', fieldSelector: 'spec.nodeName!=' };
  const following = followObjects<Pod>({ kube, query }, pods, stopping.signal);
  const renewing = setInterval(() => {
    for (const node of nodes.values()) {
      // The next one will do; a node is given up after ten minutes only.
      node.renewLease().catch(() => undefined);
    }
  }, RENEW_MS);
  const stop = async (): Promise<void> => {
    clearInterval(renewing);
    stopping.abort();
    await following;
    await pods.settled();
  };
  return {
    nodes: [...nodes.keys()],
    stop,
    async remove() {
      await stop();
      await Promise.all([...nodes.values()].map(async (node) => node.remove()));
    },
  };
}

interface PodWorkersDeps {
  readonly kube: Kube;
  readonly nodes: ReadonlyMap<string, TestNode>;
  readonly backOffMs: number;
  readonly nodeConfig: string;
  readonly signal: AbortSignal;
}

/** One worker for each pod that is alive. */
class PodWorkers {
  private readonly deps: PodWorkersDeps;
  private readonly workers = new Map<string, { readonly cancel: AbortController; readonly images: string }>();
  private readonly running = new Set<Promise<void>>();
  private started = 0;

  constructor(deps: PodWorkersDeps) {
    this.deps = deps;
  }

  onObject(pod: Pod): void {
    const { uid = '' } = pod.metadata;
    const node = this.deps.nodes.get(pod.spec.nodeName ?? '');
    if (!node) {
      return;
    }
    if (pod.metadata.deletionTimestamp) {
      this.workers.get(uid)?.cancel.abort();
      this.keep(this.deletePod(pod));
      return;
    }
    if (!hasEnded(pod) && (this.workers.has(uid) || !isRunning(pod))) {
      this.startWorker(node, pod);
    }
  }

  /** Once, and again when the images have changed. */
  private startWorker(node: TestNode, pod: Pod): void {
    const { uid = '' } = pod.metadata;
    const images = imagesOf(pod);
    const before = this.workers.get(uid);
    if (before?.images === images) {
      return;
    }
    before?.cancel.abort();
    const cancel = new AbortController();
    this.workers.set(uid, { cancel, images });
    this.started += 1;
    const deps = { ...this.deps, node, podIP: addressFor(this.started) };
    this.keep(runPod(deps, pod, AbortSignal.any([cancel.signal, this.deps.signal])));
  }

  onGone({ metadata: { uid = '' } }: Pod): void {
    this.workers.get(uid)?.cancel.abort();
    this.workers.delete(uid);
  }

  async settled(): Promise<void> {
    await Promise.all(this.running);
  }

  private keep(work: Promise<void>): void {
    const kept = work.catch(complainUnlessExpected).finally(() => this.running.delete(kept));
    this.running.add(kept);
  }

  private async deletePod(pod: Pod): Promise<void> {
    const { uid } = pod.metadata;
    await this.deps.kube.delete(referenceTo(pod), {
      gracePeriodSeconds: 0,
      ...(uid !== undefined && { preconditions: { uid } }),
    });
  }
}

function isRunning({ status }: Pod): boolean {
  return status?.phase === 'Running';
}

function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function imagesOf({ spec: { initContainers = [], containers } }: Pod): string {
  return [...initContainers, ...containers].map(({ image }) => image).join(' ');
}

/** Work ends when its pod is gone or the kubelet stops, and is begun anew when the API server was away: no news. */
function complainUnlessExpected(error: unknown): void {
  const isGone = error instanceof KubeError && (error.status === 404 || error.status === 409);
  const isStopped = error instanceof Error && error.name === 'AbortError';
  if (!isGone && !isStopped && !isTransient(error)) {
    console.error('test kubelet:', error);
  }
}

/** 10.1.0.1, 10.1.0.2, …: unique for the first 16 million pods. */
function addressFor(count: number): string {
  return `10.${1 + (Math.floor(count / 65_536) % 250)}.${Math.floor(count / 256) % 256}.${count % 256}`;
}
