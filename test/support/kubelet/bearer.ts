/** Tokens, as a container runtime gets them from the service that a registry names. */
import { z } from 'zod';

const CHALLENGE = /^Bearer realm="([^"]*)",service="([^"]*)"(?:,scope="([^"]*)")?/;
const ANSWER = z.object({ token: z.string() });

/** Where to ask for a token, from a `WWW-Authenticate` header in the words of the distribution registry. */
export function parseBearer(header: string | null): URL | undefined {
  const [, realm, service = '', scope = ''] = CHALLENGE.exec(header ?? '') ?? [];
  if (realm === undefined) {
    return undefined;
  }
  const url = new URL(realm);
  url.search = new URLSearchParams({ scope, service }).toString();
  return url;
}

/** `basic` is the value of an `Authorization` header; without it, as nobody. */
export async function fetchToken(
  url: URL,
  basic: string | undefined,
): Promise<{ readonly token: string } | { readonly problem: string }> {
  const headers = { 'user-agent': 'test-kubelet', ...(basic !== undefined && { authorization: basic }) };
  const answer = await fetch(url, { headers });
  if (!answer.ok) {
    return { problem: `unexpected status from GET request to ${url}: ${answer.status} ${answer.statusText}` };
  }
  return ANSWER.parse(await answer.json());
}
