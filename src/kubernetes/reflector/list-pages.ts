import type { Connection, Query } from '../connection/api-client.ts';
import { asArray, asObject, asText } from '../decode/json.ts';

const PAGE_SIZE = 500;

/**
 * Reads a list page by page, so that no more than one page of whole objects is in memory.
 *
 * @returns the resource version of the list, from which a watch can go on.
 * @throws {ApiError} also when the list expired between two pages (status 410): start again.
 */
export async function listPages(
  connection: Pick<Connection, 'request'>,
  list: { readonly path: string; readonly query?: Query | undefined; readonly signal?: AbortSignal },
  onItem: (item: unknown) => void,
): Promise<string> {
  const { path, query, signal } = list;
  let continuation: string | undefined;
  for (;;) {
    const page = asObject(
      await connection.request({
        method: 'GET',
        path,
        query: { ...query, limit: PAGE_SIZE, continue: continuation },
        signal,
      }),
    );
    for (const item of asArray(page['items'])) {
      onItem(item);
    }
    const metadata = asObject(page['metadata']);
    continuation = asText(metadata['continue']) || undefined;
    if (continuation === undefined) {
      return asText(metadata['resourceVersion']) ?? '';
    }
  }
}
