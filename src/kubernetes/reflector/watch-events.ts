import { statusError } from '../connection/api-errors.ts';
import { asObject, asText } from '../decode/json.ts';

/** One line of a watch. */
export type WatchEvent =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: unknown;
      readonly resourceVersion: string;
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly endsInitialEvents: boolean };

const END_OF_INITIAL_EVENTS = 'k8s.io/initial-events-end';

/**
 * Undefined for a line that means nothing to us.
 *
 * @throws {ApiError} for an `ERROR` event, with the status that it carries.
 */
export function parseWatchEvent(line: unknown, resource: string): WatchEvent | undefined {
  const { type, object } = asObject(line);
  const metadata = asObject(asObject(object)['metadata']);
  const resourceVersion = asText(metadata['resourceVersion']);
  switch (type) {
    case 'ERROR':
      throw statusError(`WATCH ${resource}`, { status: object });
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return resourceVersion === undefined ? undefined : { type, object, resourceVersion };
    case 'BOOKMARK': {
      const endsInitialEvents = asObject(metadata['annotations'])[END_OF_INITIAL_EVENTS] === 'true';
      return resourceVersion === undefined ? undefined : { type, resourceVersion, endsInitialEvents };
    }
    default:
      return undefined;
  }
}
