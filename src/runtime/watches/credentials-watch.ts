import { unwatchFile, watchFile } from 'node:fs';
import { join } from 'node:path';

/** A mounted Secret is replaced behind a link, which only polling sees. */
const POLL_MS = 5_000;

/** Calls back when `config.json` in a folder, if there is one, appears, changes or goes, until the signal. */
export function watchCredentials(
  folder: string | undefined,
  onChange: () => void,
  signal: AbortSignal,
): void {
  if (!folder) {
    return;
  }
  const file = join(folder, 'config.json');
  watchFile(file, { interval: POLL_MS, persistent: false }, onChange);
  signal.addEventListener('abort', () => unwatchFile(file, onChange), { once: true });
}
