import type { Agent } from 'node:http';

/** How to prove who we are, and how to know the server by. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  /** `user:password` for basic authentication. */
  readonly basicAuth?: string | undefined;
  readonly tls: TlsIdentity;
}

/** New connections are needed when any of these changes. */
export interface TlsIdentity {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly pfx?: string | Buffer | undefined;
  readonly passphrase?: string | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
}

/** An API server and our identity there. */
export interface Target {
  readonly server: URL;
  /** Of the context or service account; undefined when neither names one. */
  readonly namespace: string | undefined;
  /** For the next request; `renew` after a 401, when cached ones were refused. */
  readCredentials(options: { readonly renew: boolean }): Promise<Credentials>;
  /** Of a kubeconfig with a proxy: brings its own TLS. */
  readonly proxyAgent?: Agent | undefined;
  /** Of the environment, when the kubeconfig has none. */
  readonly proxyUrl?: string | undefined;
  /** Who may vouch for a server whose authority is not named; undefined: those that Node trusts. */
  readonly trusted?: readonly string[] | undefined;
}
