/** What registries do wrong, in the words in which they do it. */
import type { FaultyRequest, Misbehaviour } from './faulty-registry.ts';

export interface RequestPattern {
  /** `GET`, or `GET|HEAD`. */
  readonly method?: string;
  readonly path?: RegExp;
  /** Default: the controller and its engine, so that nodes, which have pulled the image before, are not disturbed. */
  readonly by?: 'controller' | 'engine' | 'nodes' | 'anybody';
}

export function requestsTo({
  method,
  path = /^/,
  by = 'controller',
}: RequestPattern): (request: FaultyRequest) => boolean {
  const methods = method?.split('|');
  return (request) =>
    isBy(request, by) && (!methods || methods.includes(request.method)) && path.test(request.path);
}

function isBy({ client }: FaultyRequest, who: NonNullable<RequestPattern['by']>): boolean {
  const isOurs = isEngine(client) || client === 'backup-image-registry';
  const answers = {
    anybody: true,
    nodes: client === 'test-kubelet',
    controller: isOurs,
    engine: isEngine(client),
  };
  return answers[who];
}

function isEngine(client: string): boolean {
  return client.startsWith('regclient/');
}

/** A refusal as the distribution specification words it. */
function refusal(
  status: number,
  [code, message]: readonly [code: string, message: string],
  headers: Readonly<Record<string, string>> = {},
): Misbehaviour {
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] });
  return { kind: 'answer', status, headers: { 'content-type': 'application/json', ...headers }, body };
}

export const REFUSALS = {
  login: refusal(401, ['UNAUTHORIZED', 'authentication required'], {
    'www-authenticate': 'Basic realm="registry"',
  }),
  loginPage: {
    kind: 'answer',
    status: 200,
    headers: { 'content-type': 'text/html' },
    body: '<html><form action="/login"></form></html>',
  },
  forbidden: refusal(403, ['DENIED', 'requested access to the resource is denied']),
  unknownManifest: refusal(404, ['MANIFEST_UNKNOWN', 'manifest unknown']),
  unknownBlob: refusal(404, ['BLOB_UNKNOWN', 'blob unknown to registry']),
  /** Amazon ECR, when nobody has created the repository. */
  unknownRepository: refusal(404, [
    'NAME_UNKNOWN',
    "The repository with name 'team/app' does not exist in the registry with id '123456789012'",
  ]),
  headNotAllowed: { kind: 'answer', status: 405 },
  timeout: { kind: 'answer', status: 408 },
  tooMany: refusal(429, ['TOOMANYREQUESTS', 'You have reached your unauthenticated pull rate limit.']),
  internal: refusal(500, ['UNKNOWN', 'unknown error']),
  unavailable: {
    kind: 'answer',
    status: 503,
    headers: { 'content-type': 'text/html' },
    body: '<html><body><h1>503 Service Unavailable</h1></body></html>',
  },
  /** Harbor, when the project is full. */
  quota: refusal(403, [
    'DENIED',
    'adding 15.2 MiB of storage resource, which when updated to current usage of 1014.3 MiB will exceed the ' +
      'configured upper limit of 1.0 GiB.',
  ]),
  /** Harbor, when the project lets no vulnerable image be pulled (goharbor/harbor#18792). */
  keptBack: refusal(412, ['PROJECTPOLICYVIOLATION', 'current image with 3 vulnerabilities cannot be pulled']),
  unsupported: refusal(400, ['MANIFEST_INVALID', 'unsupported media type']),
  tooLarge: { kind: 'answer', status: 413, body: '<html>413 Request Entity Too Large</html>' },
  /** Amazon ECR with tag immutability (ImageTagAlreadyExistsException), whatever the digest. */
  immutable: refusal(400, [
    'TAG_INVALID',
    "The image tag '1.0' already exists in the 'team/app' repository and cannot be overwritten because the tag is immutable.",
  ]),
} as const satisfies Record<string, Misbehaviour>;

/** `refusal` with the time for which the registry is to be left alone. */
export function tooManyFor(seconds: number): Misbehaviour {
  return refusal(429, ['TOOMANYREQUESTS', 'retry later'], { 'retry-after': String(seconds) });
}
