import { findSpellings } from './spellings.ts';

/**
 * Foreign text made fit for logs, events and errors: one line, no control characters, nothing that could be a
 * secret (user info and query strings of addresses, authorization values, JSON Web Tokens), at most `maxLength` characters.
 */
export function toPlainText(text: string, maxLength = 256): string {
  const line = text
    .slice(0, maxLength * 8)
    .replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)(?:[^\s"'/@]*@)?([^\s"'?#]*)(?:[?#][^\s"']*)?/gi, '$1$2')
    .replaceAll(/\b(Bearer|Basic)\s+[\w.~+/=-]{16,}/gi, '$1 [hidden]')
    .replaceAll(/\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g, '[hidden]')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  const characters = Array.from(line);
  return characters.length <= maxLength ? line : `${characters.slice(0, maxLength - 1).join('')}…`;
}

/** What registries say at greater length is not quoted. */
export const LONGEST_QUOTED = 16_384;

/**
 * First code and message of a registry's `{"errors":[…]}`, wherever in the text it starts; undefined when
 * there is none.
 */
export function quoteRegistryError(text: string): string | undefined {
  const errors = /"errors"\s*:\s*\[([\s\S]*)/.exec(text.slice(0, LONGEST_QUOTED))?.[1];
  if (errors === undefined) {
    return undefined;
  }
  const code = /"code"\s*:\s*"([\w.-]{1,64})"/.exec(errors)?.[1];
  const message = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(errors)?.[1];
  const quoted = [code, message?.replaceAll(/\\(?:u[0-9a-f]{4}|.)/gi, ' ')].filter(Boolean).join(': ');
  return quoted === '' ? undefined : toPlainText(quoted);
}

/**
 * Registries and proxies echo what they were sent: with a text of theirs, our secrets can come back, in whatever way it
 * spells them.
 */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  const bytes = Buffer.from(text, 'utf8');
  let hidden = '';
  let shown = 0;
  for (const [start, end] of findSpellings(text, secrets)) {
    hidden += `${bytes.toString('utf8', shown, start)}[hidden]`;
    shown = end;
  }
  return shown === 0 ? text : hidden + bytes.toString('utf8', shown);
}
