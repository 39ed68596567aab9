import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { planCopyNames } from '../../../src/images/copy-name.ts';
import { parseReference } from '../../../src/images/reference.ts';
import { parseSettings } from '../../../src/settings/settings.ts';
import { formatRecord } from '../../../src/workloads/record.ts';
import type { Kube, ObjectReference } from '../../support/kube.ts';
import type { AnyObject } from '../../support/objects.ts';
import { forEach } from '../laboratory.ts';

const NAMESPACES = 50;
const IMAGES = 2_000;
const SOURCE_HOST = 'registry.example';
/** Of the API server's 400 places for writes; more makes it slower. */
const SEED_CONCURRENCY = 48;

/** Deployments as they are in a cluster that has been backed up: about 6 kB each, and nothing left to do. */
export interface ClusterOfMany {
  readonly settings: Readonly<Record<string, string>>;
  /** HEAD requests that the backup was asked. */
  readonly lookups: number;
  /** Adds Deployments until there are so many. */
  growTo(count: number): Promise<void>;
  /** Changes that many, once each. */
  touch(count: number, round: string): Promise<void>;
  close(): Promise<void>;
}

function digestOf(image: number): string {
  return `sha256:${createHash('sha256').update(`image ${image}`).digest('hex')}`;
}

/** Knows every image that was swapped, and answers at once: what is measured is the controller. */
async function startKnowingRegistry(): Promise<{
  host: string;
  lookups: () => number;
  close(): Promise<void>;
}> {
  let lookups = 0;
  const server = createServer((incoming, outgoing) => {
    lookups += 1;
    const image = /\/image-(\d+)\//.exec(incoming.url ?? '')?.[1];
    outgoing.writeHead(image === undefined ? 404 : 200, {
      'content-type': 'application/vnd.oci.image.index.v1+json',
      'content-length': '100',
      'docker-content-digest': digestOf(Number(image)),
    });
    outgoing.end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    lookups: () => lookups,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function referenceOf(index: number): ObjectReference & { readonly namespace: string } {
  const namespace = `scale-${index % NAMESPACES}`;
  return { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: `web-${index}` };
}

/** What charts put into a container, in the amounts in which they do. */
function createContainer(name: string, image: string): object {
  const env = Array.from({ length: 2 }, (_, index) => ({
    name: `SETTING_NUMBER_${index}`,
    value: `some-value-of-usual-length-${index}`,
  }));
  return {
    name,
    image,
    env,
    resources: { requests: { cpu: '100m', memory: '128Mi' } },
    volumeMounts: [{ name: 'config', mountPath: '/etc/app', readOnly: true }],
  };
}

function createSwappedDeployment(index: number, settings: Readonly<Record<string, string>>): AnyObject {
  const { namespace, name } = referenceOf(index);
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = parseSettings(settings, {});
  const image = index % IMAGES;
  const original = `${SOURCE_HOST}/team/image-${image}:1.0`;
  const { image: copy } = planCopyNames({
    source: parseReference(original),
    digest: digestOf(image),
    prefix,
    naming,
  });
  const annotations = formatRecord({
    originals: new Map([['main', original]]),
    copies: new Map([['main', copy]]),
    before: new Map(),
    swappedAtMs: Date.UTC(2026, 0, 1),
  });
  const labels = { 'app.kubernetes.io/name': name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels, annotations },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [createContainer('main', copy)],
          volumes: [{ name: 'config', configMap: { name: 'config' } }],
        },
      },
    },
  } as unknown as AnyObject;
}

export async function createClusterOfMany(kube: Kube): Promise<ClusterOfMany> {
  const registry = await startKnowingRegistry();
  const settings = {
    REGISTRY_PREFIX: `${registry.host}/backup`,
    INSECURE_REGISTRIES: registry.host,
    SOURCE_HOSTS: '*',
  };
  let grown = 0;
  await forEach(
    Array.from({ length: NAMESPACES }, (_, index) => index),
    (index) => kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: `scale-${index}` } }),
  );
  return {
    settings,
    get lookups() {
      return registry.lookups();
    },
    async growTo(count) {
      const missing = Array.from({ length: count - grown }, (_, index) => grown + index);
      await forEach(
        missing,
        (index) => kube.create(createSwappedDeployment(index, settings)),
        SEED_CONCURRENCY,
      );
      grown = count;
    },
    async touch(count, round) {
      const indexes = Array.from({ length: count }, (_, index) => index);
      await forEach(
        indexes,
        (index) => kube.patch(referenceOf(index), { metadata: { annotations: { round } } }),
        SEED_CONCURRENCY,
      );
    },
    close: () => registry.close(),
  };
}
