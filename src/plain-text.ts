/**
 * Foreign text made fit for logs, events and errors: one line, no control characters, nothing that could be a
 * secret (user info and query strings of addresses, authorization values), at most `maxLength` characters.
 */
export function toPlainText(text: string, maxLength = 256): string {
  const line = text
    .slice(0, maxLength * 8)
    .replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)(?:[^\s"'/@]*@)?([^\s"'?#]*)(?:[?#][^\s"']*)?/gi, '$1$2')
    .replaceAll(/\b(Bearer|Basic)\s+[\w.~+/=-]{16,}/gi, '$1 [hidden]')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  const characters = Array.from(line);
  return characters.length <= maxLength ? line : `${characters.slice(0, maxLength - 1).join('')}…`;
}

/**
 * First code and message of a registry's `{"errors":[…]}`, wherever in the text it starts; undefined when
 * there is none.
 */
export function quoteRegistryError(text: string): string | undefined {
  const errors = /"errors"\s*:\s*\[([\s\S]*)/.exec(text.slice(0, 16_384))?.[1];
  if (errors === undefined) {
    return undefined;
  }
  const code = /"code"\s*:\s*"([\w.-]{1,64})"/.exec(errors)?.[1];
  const message = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(errors)?.[1];
  const quoted = [code, message?.replaceAll(/\\(?:u[0-9a-f]{4}|.)/gi, ' ')].filter(Boolean).join(': ');
  return quoted === '' ? undefined : toPlainText(quoted);
}

/** Registries and proxies echo what they were sent: with a text of theirs, our secrets can come back. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  let hidden = text;
  for (const secret of secrets) {
    hidden = secret === '' ? hidden : hidden.replaceAll(secret, '[hidden]');
  }
  return hidden;
}
