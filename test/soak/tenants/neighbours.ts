/** Tenants who do no harm: each deploys an image of its own now and then, and waits for its copy and its swap. */
import { setTimeout as sleep } from 'node:timers/promises';

import { copyOf } from '../../support/backed-up.ts';
import { REFUSALS, requestsTo } from '../../support/faults.ts';
import type { FaultyRequest } from '../../support/faulty-registry.ts';
import { followObjects } from '../../support/follow.ts';
import { referenceTo } from '../../support/kube.ts';
import type { Pod, Workload } from '../../support/objects.ts';
import { findDigest, pushImage, type PushedImage } from '../../support/seed-images.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aDeployment } from '../../support/workload-builders.ts';
import { checkImage, checkImageId, checkTag, type Expected, type Finding, type Sample } from './checks.ts';
import { type Stage, TEAMS } from './stage.ts';

/** Of each team. */
const PACE_MS = 3_500;
/** More workloads of a team are not kept. */
const MOST_KEPT = 12;
const RESCUE_MS = 45_000;
const TAGS_EVERY_MS = 2_000;

interface Deployed {
  readonly name: string;
  readonly workload: Workload;
  readonly image: PushedImage;
  readonly expected: Expected;
  readonly turn: number;
  readonly startedAtMs: number;
  swappedAtMs: number | undefined;
}

export class Neighbours {
  readonly #stage: Stage;
  readonly #deployed = new Map<string, Deployed>();
  readonly #measured: Deployed[] = [];
  readonly #stopping = new AbortController();
  readonly #following: Promise<unknown>;
  readonly #onFinding: (finding: Finding) => void;
  /** Aborted when nothing can come any more. */
  readonly #over: AbortSignal;
  #count = 0;

  constructor(
    stage: Stage,
    {
      signal: over,
      onFinding,
    }: { readonly signal: AbortSignal; readonly onFinding: (finding: Finding) => void },
  ) {
    this.#stage = stage;
    this.#over = over;
    this.#onFinding = onFinding;
    const { kube } = stage;
    const { signal } = this.#stopping;
    this.#following = Promise.all(
      TEAMS.flatMap((namespace) => [
        followObjects<Workload>(
          { kube, query: { apiVersion: 'apps/v1', kind: 'Deployment', namespace } },
          { onObject: (workload) => this.#onWorkload(workload), onGone: () => undefined },
          signal,
        ),
        followObjects<Pod>(
          { kube, query: { apiVersion: 'v1', kind: 'Pod', namespace } },
          { onObject: (pod) => this.#onPod(pod), onGone: () => undefined },
          signal,
        ),
      ]),
    );
  }

  /** Each team runs from the backup, and what is shared has a copy. */
  async warmUp(): Promise<void> {
    for (const [index, image] of this.#stage.shared.entries()) {
      const one = await this.#deploy(TEAMS[index % TEAMS.length] ?? '', image, { turn: 0 });
      await waitFor(() => one.swappedAtMs, { what: `${one.name} to be swapped`, signal: this.#over });
    }
  }

  /** All teams, at their pace. Returns once all that was deployed is swapped, or too late for that. */
  async live(ms: number, turn: number): Promise<void> {
    const endsAtMs = performance.now() + ms;
    await Promise.all(
      TEAMS.map(async (team, index) => {
        await sleep((PACE_MS / TEAMS.length) * index);
        for (; performance.now() < endsAtMs && !this.#over.aborted; await sleep(PACE_MS)) {
          await this.#deployNew(team, turn);
        }
      }),
    );
  }

  /** Waits for what is on its way. */
  async settle(ms: number): Promise<void> {
    const isDone = (): boolean => this.#measured.every(({ swappedAtMs }) => swappedAtMs !== undefined);
    // What has not come by then is told by the samples.
    const options = { what: 'all swaps', deadlineMs: ms, signal: this.#over };
    await waitFor(isDone, options).catch(() => undefined);
  }

  /** The source has lost an image that all know: who deploys it now is to get what it was, from the backup. */
  async rescue(): Promise<void> {
    const { source, shared } = this.#stage;
    const [image] = shared;
    if (!image) {
      return;
    }
    const path = new RegExp(`^/v2/${image.repository}/`);
    const mend = source.misbehave({
      when: requestsTo({ path, by: 'anybody' }),
      does: REFUSALS.unknownManifest,
    });
    try {
      const one = await this.#deploy(TEAMS[0], image, { turn: 1, pullPolicy: 'Always' });
      const options = { what: 'a rescue', deadlineMs: RESCUE_MS, signal: this.#over };
      await waitFor(() => one.swappedAtMs, options).catch(() => {
        const what = `${one.name} was not rescued in ${RESCUE_MS / 1_000} s`;
        this.#onFinding({ invariant: 'swaps', atMs: one.startedAtMs, what });
      });
    } finally {
      mend();
    }
  }

  /** Looks at the tags in the backup again and again, to see what was done before one was moved. */
  async watchTags(ms: number): Promise<void> {
    const endsAtMs = performance.now() + ms;
    for (; performance.now() < endsAtMs && !this.#over.aborted; await sleep(TAGS_EVERY_MS)) {
      await this.checkTags();
    }
  }

  /** What plain tags mean in the backup. */
  async checkTags(): Promise<void> {
    const { near, source } = this.#stage;
    const images = [
      ...new Map([...this.#deployed.values()].map(({ image }) => [image.reference, image])).values(),
    ];
    for (const { repository, tag, digest } of images) {
      const path = `tenants/${source.host.replace(':', '_')}/${repository}`;
      const found = await findDigest(near.backup, { repository: path, tag });
      this.#tell(checkTag(`${repository}:${tag}`, found, digest, Date.now()));
    }
  }

  listSamples(): { readonly copies: readonly Sample[]; readonly swaps: readonly Sample[] } {
    const firstTagged = new Map<string, number>();
    for (const { method, path, atMs } of this.#stage.backup.requests.filter(isTagged)) {
      firstTagged.set(
        path,
        Math.min(atMs, method === 'PUT' ? (firstTagged.get(path) ?? Infinity) : Infinity),
      );
    }
    const host = this.#stage.source.host.replace(':', '_');
    return {
      copies: this.#measured.map(({ startedAtMs, turn, image: { repository, tag } }) => ({
        startedAtMs,
        turn,
        endedAtMs: firstTagged.get(`/v2/tenants/${host}/${repository}/manifests/${tag}`),
      })),
      swaps: this.#measured.map(({ startedAtMs, turn, swappedAtMs }) => ({
        startedAtMs,
        turn,
        endedAtMs: swappedAtMs,
      })),
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
  }

  async #deployNew(team: string, turn: number): Promise<void> {
    const { near, source } = this.#stage;
    this.#count += 1;
    const repository = `${team}/app-${this.#count}`;
    const pushed = await pushImage(near.source, {
      repository,
      tag: '1.0',
      spec: { format: 'oci-manifest', content: repository },
    });
    const image = { ...pushed, host: source.host, reference: `${source.host}/${repository}:1.0` };
    this.#measured.push(await this.#deploy(team, image, { turn }));
    await this.#deleteOld(team);
  }

  async #deploy(
    namespace: string,
    image: PushedImage,
    { turn, pullPolicy }: { readonly turn: number; readonly pullPolicy?: 'Always' },
  ): Promise<Deployed> {
    this.#count += 1;
    const name = `web-${this.#count}`;
    const deployment = aDeployment({
      namespace,
      name,
      images: [image.reference],
      ...(pullPolicy && { pullPolicy }),
    });
    const deployed: Deployed = {
      name: `${namespace}/${name}`,
      workload: deployment,
      image,
      expected: { image: image.reference, copy: copyOf(image, this.#stage.prefix), digest: image.digest },
      turn,
      startedAtMs: Date.now(),
      swappedAtMs: undefined,
    };
    this.#deployed.set(deployed.name, deployed);
    await this.#stage.kube.create(deployment);
    return deployed;
  }

  async #deleteOld(team: string): Promise<void> {
    const swapped = [...this.#deployed.values()].filter(
      ({ workload, swappedAtMs }) => workload.metadata.namespace === team && swappedAtMs !== undefined,
    );
    for (const { name, workload } of swapped.slice(0, -MOST_KEPT)) {
      this.#deployed.delete(name);
      await this.#stage.kube.delete(referenceTo(workload));
    }
  }

  #onWorkload({ metadata, spec }: Workload): void {
    const deployed = this.#deployed.get(`${metadata.namespace}/${metadata.name}`);
    if (!deployed) {
      return;
    }
    const nowMs = Date.now();
    for (const { image } of spec.template.spec.containers) {
      this.#tell(checkImage(deployed.name, image, deployed.expected, nowMs));
      deployed.swappedAtMs ??= image === deployed.expected.copy ? nowMs : undefined;
    }
  }

  #onPod({ metadata, status }: Pod): void {
    const app = metadata.labels?.['app'] ?? '';
    const deployed = this.#deployed.get(`${metadata.namespace}/${app}`);
    for (const { imageID } of deployed ? (status?.containerStatuses ?? []) : []) {
      if (deployed) {
        this.#tell(checkImageId(deployed.name, imageID, deployed.expected, Date.now()));
      }
    }
  }

  #tell(findings: readonly Finding[]): void {
    for (const finding of findings) {
      this.#onFinding(finding);
    }
  }
}

/** By the controller: it is the only one that writes there. */
function isTagged({ method, path, status = 0 }: FaultyRequest): boolean {
  return method === 'PUT' && path.includes('/manifests/') && status < 300 && status > 0;
}
