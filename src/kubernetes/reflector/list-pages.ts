import { ApiError } from '../../errors.ts';
import type { Connection, Query } from '../connection/api-client.ts';
import { asArray, asObject, asText } from '../decode/json.ts';

const PAGE_SIZE = 500;
/**
 * Of one page. Objects of users have a few kB each, but may have 1.5 MB: a page of 500 of those would be far more than all
 * memory there is.
 */
const PAGE_BYTES = 4 * 1024 * 1024;

interface List {
  readonly path: string;
  readonly query?: Query | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface PageEnd {
  readonly continuation: string | undefined;
  readonly resourceVersion: string;
}

/** What is not returned here is free before the next page comes. */
async function readPage(
  connection: Pick<Connection, 'request'>,
  page: List & { readonly size: number; readonly continuation: string | undefined },
  onItem: (item: unknown) => void,
): Promise<PageEnd> {
  const { path, query, signal, size, continuation } = page;
  const answer = asObject(
    await connection.request({
      method: 'GET',
      path,
      query: { ...query, limit: size, continue: continuation },
      // One object alone is taken whatever it has.
      ...(size > 1 && { mostBytes: PAGE_BYTES }),
      signal,
    }),
  );
  for (const item of asArray(answer['items'])) {
    onItem(item);
  }
  const metadata = asObject(answer['metadata']);
  return {
    continuation: asText(metadata['continue']) || undefined,
    resourceVersion: asText(metadata['resourceVersion']) ?? '',
  };
}

function isTooLong(error: unknown): boolean {
  return error instanceof ApiError && error.status === 0 && error.reason === 'TooLong';
}

/**
 * Reads a list page by page, so that no more than one page of whole objects is in memory. Where objects are large, the pages
 * have fewer of them, and after these more again: a few large objects do not make the whole list slow.
 *
 * @returns the resource version of the list, from which a watch can go on.
 * @throws {ApiError} also when the list expired between two pages (status 410): start again.
 */
export async function listPages(
  connection: Pick<Connection, 'request'>,
  list: List,
  onItem: (item: unknown) => void,
): Promise<string> {
  let continuation: string | undefined;
  for (let size = PAGE_SIZE; ;) {
    try {
      const end = await readPage(connection, { ...list, size, continuation }, onItem);
      if (end.continuation === undefined) {
        return end.resourceVersion;
      }
      ({ continuation } = end);
      size = Math.min(size * 2, PAGE_SIZE);
    } catch (error) {
      if (size === 1 || !isTooLong(error)) {
        throw error;
      }
      size = Math.ceil(size / 4);
    }
  }
}
