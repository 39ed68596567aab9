import { statusError } from '../connection/api-errors.ts';
import { asObject, asText } from '../decode/json.ts';

/** One line of a watch, with what was read of the object in it. */
export type WatchEvent<T> =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: T;
      readonly resourceVersion: string;
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly endsInitialEvents: boolean };

const END_OF_INITIAL_EVENTS = 'k8s.io/initial-events-end';

/**
 * Undefined for a line that means nothing to us.
 *
 * @throws {ApiError} for an `ERROR` event, with the status that it carries.
 */
export function parseWatchEvent<T>(
  line: unknown,
  { resource, read }: { readonly resource: string; readonly read: (object: unknown) => T },
): WatchEvent<T> | undefined {
  const { type, object } = asObject(line);
  const metadata = asObject(asObject(object)['metadata']);
  const resourceVersion = asText(metadata['resourceVersion']);
  switch (type) {
    case 'ERROR':
      throw statusError(`WATCH ${resource}`, { status: object });
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return resourceVersion === undefined ? undefined : { type, object: read(object), resourceVersion };
    case 'BOOKMARK': {
      const endsInitialEvents = asObject(metadata['annotations'])[END_OF_INITIAL_EVENTS] === 'true';
      return resourceVersion === undefined ? undefined : { type, resourceVersion, endsInitialEvents };
    }
    default:
      return undefined;
  }
}
