/**
 * A token service: where a registry sends everybody who wants to push or pull, as Docker Hub, GHCR, Harbor and GitLab
 * do. The registry that trusts it is a real one (`startRegistry({ tokens })`): it checks signature, audience, life and
 * scope of every token itself.
 *
 * It answers both ways of asking, GET with Basic credentials and POST with a form; gives whoever shows no credentials a
 * token that permits nothing, as Docker Hub does for a private repository; and answers 401 to wrong ones.
 *
 * What it does not prove:
 * - It was written by the specification of the distribution registry, not recorded from a vendor: the words of a refusal,
 *   the life of a token and what is done with several scopes differ from one to the other.
 * - Plain HTTP, at the address of the registry: no TLS, and no service on another host that one must find safe to ask.
 * - No identity tokens: nobody gets one, and one that is shown is refused.
 */
import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import type { Processes } from './processes.ts';
import type { Credentials } from './registry-accounts.ts';

/** What a registry has to know, in the words of its configuration. */
export interface TokenAuth {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** File with the public key. */
  readonly jwks: string;
}

type Action = 'pull' | 'push';

export interface TokenAccount extends Credentials {
  readonly actions: readonly Action[];
}

export interface TokenRequest {
  /** Undefined: without credentials. */
  readonly user: string | undefined;
  /** `repository:app:pull`; several are apart by a space. */
  readonly scope: string;
  /** User-Agent header. */
  readonly client: string;
  readonly status: number;
}

export interface TokenService {
  readonly auth: TokenAuth;
  /** All so far, oldest first. */
  readonly requests: readonly TokenRequest[];
  /** From now on there are these accounts and no others; a token that was given lives on. */
  setAccounts(accounts: readonly TokenAccount[]): void;
  close(): Promise<void>;
}

export interface TokenServiceOptions {
  readonly processes: Processes;
  /** Of this machine, where it listens. */
  readonly address: string;
}

const SERVICE = 'test-registry';
const ISSUER = 'test-token-service';
const KEY_ID = 'test-key';
const LIFE_SECONDS = 300;

export async function startTokenService({ processes, address }: TokenServiceOptions): Promise<TokenService> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = join(await processes.createFolder('token-service'), 'jwks.json');
  const key = { ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, use: 'sig', alg: 'ES256' };
  await writeFile(jwks, JSON.stringify({ keys: [key] }));
  const requests: TokenRequest[] = [];
  let accounts: readonly TokenAccount[] = [];
  const server = createServer((incoming, outgoing) => {
    void readQuestion(incoming).then(({ shown, scope }) => {
      const account = accounts.find(
        ({ user, password }) => user === shown?.user && password === shown.password,
      );
      const status = shown && !account ? 401 : 200;
      const client = incoming.headers['user-agent'] ?? '';
      requests.push({ user: shown?.user, scope, client, status });
      outgoing.writeHead(status, { 'content-type': 'application/json' });
      outgoing.end(status === 200 ? answer(scope, account, privateKey) : '{"details":"wrong credentials"}');
    });
  });
  const realm = `http://${await listen(server, address)}/token`;
  return {
    auth: { realm, service: SERVICE, issuer: ISSUER, jwks },
    requests,
    setAccounts(all) {
      accounts = all;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

async function listen(server: Server, address: string): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, address, resolve);
  });
  return `${address}:${(server.address() as AddressInfo).port}`;
}

interface Question {
  readonly shown: Credentials | undefined;
  readonly scope: string;
}

async function readQuestion(incoming: IncomingMessage): Promise<Question> {
  const body = await text(incoming);
  if (incoming.method === 'POST') {
    const form = new URLSearchParams(body);
    const shown = { user: form.get('username') ?? '', password: form.get('password') ?? '' };
    return { shown, scope: form.get('scope') ?? '' };
  }
  const { searchParams } = new URL(incoming.url ?? '', 'http://localhost');
  return { shown: parseBasic(incoming.headers.authorization), scope: searchParams.getAll('scope').join(' ') };
}

function parseBasic(header: string | undefined): Credentials | undefined {
  const [, encoded] = /^Basic (.+)$/i.exec(header ?? '') ?? [];
  const [, user, password] = /^([^:]*):(.*)$/.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
  return user === undefined || password === undefined ? undefined : { user, password };
}

/** Both spellings of the one token: which is read depends on the way of asking. */
function answer(scope: string, account: TokenAccount | undefined, key: KeyObject): string {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const token = signToken(
    {
      iss: ISSUER,
      sub: account?.user ?? '',
      aud: SERVICE,
      exp: nowSeconds + LIFE_SECONDS,
      nbf: nowSeconds,
      iat: nowSeconds,
      jti: randomUUID(),
      access: scope.split(' ').flatMap((one) => grant(one, account?.actions ?? [])),
    },
    key,
  );
  return JSON.stringify({ token, access_token: token, expires_in: LIFE_SECONDS });
}

/** Of the wanted actions those that are permitted: less than asked for is no failure. */
function grant(scope: string, permitted: readonly string[]): readonly object[] {
  const [, name, wanted = ''] = /^repository:(.+):([^:]*)$/.exec(scope) ?? [];
  const actions = wanted.split(',').filter((action) => permitted.includes(action));
  return name === undefined || actions.length === 0 ? [] : [{ type: 'repository', name, actions }];
}

function signToken(claims: object, key: KeyObject): string {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ typ: 'JWT', alg: 'ES256', kid: KEY_ID })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
