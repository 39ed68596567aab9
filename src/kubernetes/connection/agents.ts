import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext } from 'node:tls';

import type { Target, TlsIdentity } from './target.ts';

/** Sockets: kept and shared by requests, one of its own for each watch. */
export interface Agents {
  pick(tls: TlsIdentity, purpose: 'request' | 'watch'): HttpAgent;
  close(): void;
}

export const TCP_KEEP_ALIVE_MS = 30_000;
/** Below the 90 s after which the API server closes a silent connection, so that we are the ones who do. */
const IDLE_MS = 60_000;

function isSameText(one: string | Buffer | undefined, other: string | Buffer | undefined): boolean {
  return one === other || (Buffer.isBuffer(one) && Buffer.isBuffer(other) && one.equals(other));
}

function isSameIdentity(one: TlsIdentity, other: TlsIdentity): boolean {
  return (
    isSameText(one.ca, other.ca) &&
    isSameText(one.cert, other.cert) &&
    isSameText(one.key, other.key) &&
    isSameText(one.pfx, other.pfx) &&
    one.passphrase === other.passphrase &&
    one.servername === other.servername &&
    one.rejectUnauthorized === other.rejectUnauthorized
  );
}

/** Certificates and key are parsed here, and not again for every connection. */
function prepareTls(
  { servername, rejectUnauthorized, ...identity }: TlsIdentity,
  trusted: Target['trusted'],
): object {
  return {
    secureContext: createSecureContext(withoutUndefined({ ...identity, ca: identity.ca ?? trusted })),
    ...withoutUndefined({ servername, rejectUnauthorized }),
  };
}

function withoutUndefined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** Agents are built anew when the TLS identity changes; the sockets of the old ones end by themselves. */
export function createAgents(target: Target): Agents {
  const isPlain = target.server.protocol === 'http:';
  let identity: TlsIdentity | undefined;
  let request: HttpAgent | undefined;
  let watch: HttpAgent | undefined;
  const build = (tls: TlsIdentity) => {
    const { proxyUrl } = target;
    const way = proxyUrl === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } };
    const kept = { ...way, keepAlive: true, keepAliveMsecs: TCP_KEEP_ALIVE_MS, timeout: IDLE_MS };
    const secure = isPlain ? undefined : prepareTls(tls, target.trusted);
    identity = tls;
    request = secure ? new HttpsAgent({ ...kept, ...secure }) : new HttpAgent(kept);
    watch = secure ? new HttpsAgent({ ...way, ...secure }) : new HttpAgent(way);
    return { request, watch };
  };
  return {
    pick(tls, purpose) {
      if (target.proxyAgent) {
        return target.proxyAgent;
      }
      if (!request || !watch || !identity || !isSameIdentity(identity, tls)) {
        return build(tls)[purpose];
      }
      return purpose === 'watch' ? watch : request;
    },
    close() {
      request?.destroy();
      watch?.destroy();
      target.proxyAgent?.destroy();
    },
  };
}
