import { RegistryError, type RegistryFailure } from '../../errors.ts';

/** What the backup says of one of its repositories, or that it does not say anything. */
export type BackupAnswer<T> =
  | { readonly is: 'told'; readonly value: T }
  | { readonly is: 'refused'; readonly error: RegistryError };

const REFUSALS: ReadonlySet<RegistryFailure> = new Set(['Unauthorized', 'NotFound']);

/**
 * Asks the backup what it has. Registries that create a repository on its first push (Quay, Artifactory) refuse to be asked
 * about one that is not there yet: whether we may write to it, only writing shows.
 *
 * @throws {RegistryError} for any other failure.
 */
export async function askBackup<T>(ask: () => Promise<T>): Promise<BackupAnswer<T>> {
  try {
    return { is: 'told', value: await ask() };
  } catch (error) {
    if (error instanceof RegistryError && error.side === 'backup' && REFUSALS.has(error.reason)) {
      return { is: 'refused', error };
    }
    throw error;
  }
}

/** The same where a refusal is no news: undefined. */
export async function findInBackup<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const answer = await askBackup(ask);
  return answer.is === 'told' ? answer.value : undefined;
}
