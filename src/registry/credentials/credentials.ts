/**
 * What a registry, or its token service, wants to see. Never logged, never in an argument or the environment.
 */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** A refresh token (`identitytoken`), exchanged for access tokens. */
  | { readonly kind: 'identityToken'; readonly token: string };

/**
 * Texts by which a credential could be recognised; `hideSecrets` knows other spellings of them. In Base64, a short password is
 * found only together with its user.
 */
export function listSecrets(credential: Credential | undefined): readonly string[] {
  if (!credential) {
    return [];
  }
  return credential.kind === 'password' ? [credential.password, toBase64(credential)] : [credential.token];
}

/** As in `auth` of a config file, and in the header of Basic authentication. */
export function toBase64({ username, password }: Credential & { readonly kind: 'password' }): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}
