import { FIELD_MANAGER, type ImageOwner } from '../../workloads/image-owner.ts';
import type { Workload } from '../../workloads/workload.ts';
import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** The API server allows no longer name. */
const LONGEST_MANAGER = 128;
/** The newest; each may own what an older one has owned before. */
const MOST_OWNERS = 20;

function walk(fields: unknown, path: readonly string[]): JsonObject {
  return path.reduce<JsonObject>((object, name) => asObject(object[name]), asObject(fields));
}

/** The pod template, directly in the spec or in that of the jobs of a CronJob. */
function findTemplate(fields: unknown): JsonObject {
  const spec = walk(fields, ['f:spec']);
  const job = walk(spec, ['f:jobTemplate', 'f:spec']);
  return walk('f:template' in spec ? spec : job, ['f:template']);
}

function ownsImage(fields: unknown): boolean {
  const podSpec = walk(findTemplate(fields), ['f:spec']);
  const has = (list: string, test: (item: JsonObject) => boolean): boolean =>
    Object.values(asObject(podSpec[list])).some((item) => test(asObject(item)));
  return (
    has('f:containers', (container) => 'f:image' in container) ||
    has('f:initContainers', (container) => 'f:image' in container) ||
    has('f:volumes', (volume) => 'f:reference' in asObject(volume['f:image']))
  );
}

interface Entry extends ImageOwner {
  readonly time: string;
}

/** At the same second, ours is the older: others react to it. */
function byAge(a: Entry, b: Entry): number {
  return (
    b.time.localeCompare(a.time) || Number(a.manager === FIELD_MANAGER) - Number(b.manager === FIELD_MANAGER)
  );
}

/** To whom the images of a workload belong; all else in `managedFields`, most of the object, is dropped. */
export function projectImageOwners(managedFields: unknown): Pick<Workload, 'imageOwners' | 'ownFieldsAt'> {
  const entries = asArray(managedFields).map(asObject);
  const owning = entries.filter(
    (entry) => entry['subresource'] === undefined && ownsImage(entry['fieldsV1']),
  );
  const owners = owning.map((entry) => ({
    manager: cutText(asText(entry['manager']) ?? '', LONGEST_MANAGER),
    isApply: entry['operation'] === 'Apply',
    time: asText(entry['time']) ?? '',
  }));
  const ownFieldsAt = entries.indexOf(
    owning.find((entry) => entry['manager'] === FIELD_MANAGER && entry['operation'] === 'Update') ?? {},
  );
  return {
    ...(owners.length > 0 && {
      imageOwners: owners
        .toSorted(byAge)
        .slice(0, MOST_OWNERS)
        .map(({ manager, isApply }) => ({ manager, isApply })),
    }),
    ...(ownFieldsAt >= 0 && { ownFieldsAt }),
  };
}

/** When somebody else last wrote into the pod template; undefined when nobody is known to have. */
export function projectTemplateChangedAtMs(managedFields: unknown): number | undefined {
  const times = asArray(managedFields)
    .map(asObject)
    .filter(
      ({ manager, subresource, fieldsV1 }) =>
        manager !== FIELD_MANAGER &&
        subresource === undefined &&
        Object.keys(findTemplate(fieldsV1)).length > 0,
    )
    .map(({ time }) => Date.parse(asText(time) ?? '') || 0);
  const newestMs = Math.max(0, ...times);
  return newestMs > 0 ? newestMs : undefined;
}
