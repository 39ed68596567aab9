/** Parts b and c: images that the backup has already. */
import { createHash } from 'node:crypto';

import { planCopyNames } from '../../src/images/copy-name.ts';
import { formatReference, parseReference } from '../../src/images/reference.ts';
import { parseSettings } from '../../src/settings/settings.ts';
import { MEDIA_TYPES } from '../support/image-builder.ts';
import type { RegistryRequest } from '../support/registry-log.ts';
import type { Registry } from '../support/registry.ts';
import { type CopyOrder, startControllerProcess } from './controller-process.ts';
import {
  countMethod,
  countMostAsked,
  countRequests,
  createOrder,
  forEach,
  type Laboratory,
  planSmallImages,
  seed,
  withRegistry,
} from './laboratory.ts';
import { type Finding, formatSeconds, type Part } from './report.ts';

const REPEATED = 100;
const KNOWN = 2_000;
const LONGEST_KNOWN_MS = 60_000;

interface Count {
  readonly found: number;
  readonly least?: number;
  readonly most: number;
}

function count(part: Part, what: string, { found, least = 0, most }: Count): Finding {
  return {
    part,
    what,
    figure: String(found),
    goal: least === most ? String(most) : `≤ ${most}`,
    isMet: found >= least && found <= most,
    isCount: true,
  };
}

function countOthers(requests: readonly RegistryRequest[]): number {
  return requests.length - countMethod(requests, 'HEAD');
}

/** A controller that has just started finds everything in its backup. */
export async function measureRepeatedCopies(lab: Laboratory): Promise<readonly Finding[]> {
  const images = planSmallImages(REPEATED);
  const controller = await startControllerProcess(lab.processes);
  try {
    return await withRegistry(lab, (source) =>
      withRegistry(lab, async (backup) => {
        await seed(source, images);
        const order = createOrder(lab, { sourceHost: source.host, backupHost: backup.host, images });
        await controller.backUp(order);
        const again = await countRequests({ source, backup }, () => controller.backUp(order));
        const { wallMs } = again.result;
        lab.say(`b: the same ${REPEATED} again in ${formatSeconds(wallMs)}`);
        const both = [...again.source, ...again.backup];
        return [
          count('b', `HEAD at the source, ${REPEATED} images again`, {
            found: countMethod(again.source, 'HEAD'),
            most: REPEATED,
          }),
          count('b', 'HEAD at the backup', { found: countMethod(again.backup, 'HEAD'), most: REPEATED }),
          count('b', 'the same HEAD, at most', { found: countMostAsked(both), most: 1 }),
          count('b', 'GET, both registries', { found: countMethod(both, 'GET'), most: 0 }),
          count('b', 'POST, PATCH, PUT, DELETE, both registries', {
            found: countOthers(both) - countMethod(both, 'GET'),
            most: 0,
          }),
        ];
      }),
    );
  } finally {
    await controller.close();
  }
}

/** An index of nothing: the smallest manifest that a registry takes without anything pushed before. */
function createSmallManifest(index: number): { readonly body: string; readonly digest: string } {
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: [],
    annotations: { image: String(index) },
  });
  return { body, digest: `sha256:${createHash('sha256').update(body).digest('hex')}` };
}

/** Puts manifests where the copies of the sources would be, and returns what a controller would be asked for then. */
async function seedCopies(lab: Laboratory, source: Registry, backup: Registry): Promise<CopyOrder> {
  const order = createOrder(lab, { sourceHost: source.host, backupHost: backup.host, images: [] });
  const { REGISTRY_PREFIX: prefix, NAMING: naming } = parseSettings(order.settings, {});
  const copies = Array.from({ length: KNOWN }, (_, index) => {
    const image = parseReference(`${source.host}/bench/known-${index}:1.0`);
    const { body, digest } = createSmallManifest(index);
    const { immutable } = planCopyNames({ source: image, digest, prefix, naming });
    return { source: formatReference(image), digest, immutable, body };
  });
  await forEach(copies, async ({ immutable, body }) => {
    const url = `${backup.url}/v2/${immutable.repository}/manifests/${immutable.tag}`;
    const headers = { 'content-type': MEDIA_TYPES.ociIndex };
    const answer = await fetch(url, { method: 'PUT', body, headers });
    if (answer.status !== 201) {
      throw new Error(`PUT ${url}: ${answer.status} ${await answer.text()}`);
    }
  });
  return { ...order, images: copies };
}

/** A controller that has just started, in a large cluster: pods show what runs, and all of it is in the backup. */
export async function measureKnownCopies(lab: Laboratory): Promise<readonly Finding[]> {
  const controller = await startControllerProcess(lab.processes);
  try {
    return await withRegistry(lab, (source) =>
      withRegistry(lab, async (backup) => {
        const order = await seedCopies(lab, source, backup);
        lab.say(`c: ${KNOWN} images known, one small manifest each in a repository of its own`);
        const known = await countRequests({ source, backup }, () => controller.backUp(order));
        const { wallMs, cpuMs } = known.result;
        return [
          count('c', `HEAD at the backup, ${KNOWN} images known`, {
            found: countMethod(known.backup, 'HEAD'),
            least: KNOWN,
            most: KNOWN,
          }),
          count('c', 'other requests at the backup', { found: countOthers(known.backup), most: 0 }),
          count('c', 'requests at the source', { found: known.source.length, most: 0 }),
          {
            part: 'c',
            what: 'time in all',
            figure: formatSeconds(wallMs),
            goal: `≤ ${LONGEST_KNOWN_MS / 1000} s`,
            isMet: wallMs <= LONGEST_KNOWN_MS,
          },
          {
            part: 'c',
            what: 'per image: time, CPU time of the controller',
            figure: `${(wallMs / KNOWN).toFixed(2)} ms, ${(cpuMs / KNOWN).toFixed(2)} ms`,
          },
        ];
      }),
    );
  } finally {
    await controller.close();
  }
}
