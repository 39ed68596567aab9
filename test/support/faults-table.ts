import type { RegistryFailure } from '../../src/errors.ts';
import { REFUSALS, requestsTo, tooManyFor, type RequestPattern } from './faults.ts';
import type { Fault, Misbehaviour } from './faulty-registry.ts';

/** When a copy that failed is tried again. */
export type Retry =
  /** More and more slowly, whatever happens. */
  | 'tried again by itself'
  | 'tried again when that time is over, and nothing of that host before'
  /** The nodes suffer from the fault too; a pod that has become ready is what changes. */
  | 'tried again once its pods run'
  /** Or when `config.json` changes, or after an hour. */
  | 'left alone until the workload rolls out';

export interface FaultRow {
  readonly what: string;
  readonly at: 'source' | 'backup';
  /** For requests about the image of a test and its copy. */
  readonly fault: Fault;
  readonly outcome: RegistryFailure;
  /** Part of the event. */
  readonly told: string;
  readonly next: Retry;
  /** For so long the host is not asked for anything after the first fault. */
  readonly quietMs?: number;
}

const SOURCE = 'source';
const BACKUP = 'backup';
const RETRIED = 'tried again by itself';
const NOT_BEFORE = 'tried again when that time is over, and nothing of that host before';
const ONCE_READY = 'tried again once its pods run';
const LEFT_ALONE = 'left alone until the workload rolls out';

function fault(does: Misbehaviour, pattern: RequestPattern): Fault {
  return { when: requestsTo(pattern), does };
}

const LOOK_UP: RequestPattern = { method: 'HEAD|GET', path: /\/manifests\/1\.0$/, by: 'anybody' };
const GET_MANIFEST: RequestPattern = { method: 'GET', path: /\/manifests\// };
const GET_LAYER: RequestPattern = { method: 'GET', path: /\/blobs\/sha256/ };
const WRITE: RequestPattern = { method: 'POST|PUT|PATCH' };
const START_UPLOAD: RequestPattern = { method: 'POST' };
const UPLOAD: RequestPattern = { method: 'PUT|PATCH', path: /\/blobs\/uploads\// };
const PUT_MANIFEST: RequestPattern = { method: 'PUT', path: /\/manifests\// };
const TAG_COPY: RequestPattern = { method: 'PUT', path: /\/manifests\/1\.0--/ };
/** With GET once the registry of all these tests has answered HEAD wrongly, as one of them makes it. */
const FIND_COPY: RequestPattern = { method: 'HEAD|GET', path: /\/manifests\/1\.0--/ };

/** What a registry answers, and what that means. */
export const ANSWERS: readonly FaultRow[] = [
  {
    what: 'the source does not answer a look-up',
    at: SOURCE,
    fault: fault({ kind: 'hold' }, LOOK_UP),
    outcome: 'Timeout',
    told: 'gave no answer (no answer in 30000 ms)',
    next: RETRIED,
  },
  {
    what: 'the source asks for 11 s without us in the middle of a copy',
    at: SOURCE,
    fault: fault(tooManyFor(11), GET_LAYER),
    outcome: 'RateLimited',
    told: 'answered 429 Too Many Requests to GET layer',
    next: NOT_BEFORE,
    quietMs: 11_000,
  },
  {
    what: 'the source changes a byte of every layer',
    at: SOURCE,
    fault: fault({ kind: 'corrupt', body: 'answer', atByte: 40 }, GET_LAYER),
    outcome: 'Unknown',
    told: 'sent a layer that is not what its digest says',
    next: RETRIED,
  },
  {
    what: 'the source sends a login page instead of the image',
    at: SOURCE,
    fault: fault(REFUSALS.loginPage, GET_MANIFEST),
    outcome: 'Unsupported',
    told: 'sent something that is no image (text/html)',
    next: LEFT_ALONE,
  },
  {
    what: 'the source wants a login that nobody has',
    at: SOURCE,
    fault: fault(REFUSALS.login, LOOK_UP),
    outcome: 'Unauthorized',
    told: 'wants a password, and config.json has none for it',
    next: ONCE_READY,
  },
  {
    what: 'the source wants a login for layers (401)',
    at: SOURCE,
    fault: fault(REFUSALS.login, GET_LAYER),
    outcome: 'Unauthorized',
    told: 'answered 401 Unauthorized to GET layer; the image is gone or private, or the credentials do not fit',
    next: LEFT_ALONE,
  },
  {
    what: 'the source forbids the image (403)',
    at: SOURCE,
    fault: fault(REFUSALS.forbidden, GET_MANIFEST),
    outcome: 'Unauthorized',
    told: 'answered 403 Forbidden to GET manifest (DENIED: requested access to the resource is denied)',
    next: LEFT_ALONE,
  },
  {
    what: 'the source has no such tag (404)',
    at: SOURCE,
    fault: fault(REFUSALS.unknownManifest, LOOK_UP),
    outcome: 'NotFound',
    told: ':1.0 does not exist, or may not be read',
    next: ONCE_READY,
  },
  {
    what: 'the source has lost the image that pods run (404)',
    at: SOURCE,
    fault: fault(REFUSALS.unknownManifest, GET_MANIFEST),
    outcome: 'NotFound',
    told: 'answered 404 Not Found to GET manifest (MANIFEST_UNKNOWN: manifest unknown)',
    next: LEFT_ALONE,
  },
  {
    what: 'the source has lost a layer (404)',
    at: SOURCE,
    fault: fault(REFUSALS.unknownBlob, GET_LAYER),
    outcome: 'Unknown',
    told: 'answered 404 Not Found to GET layer (BLOB_UNKNOWN: blob unknown to registry)',
    next: RETRIED,
  },
  {
    what: 'the source is too slow for its own proxy (408)',
    at: SOURCE,
    fault: fault(REFUSALS.timeout, GET_LAYER),
    outcome: 'RegistryUnavailable',
    told: 'answered 408 Request Timeout to GET layer',
    next: RETRIED,
  },
  {
    what: 'the source asks for 3 s without us at a look-up (429)',
    at: SOURCE,
    fault: fault(tooManyFor(3), LOOK_UP),
    outcome: 'RateLimited',
    told: 'answered 429 Too Many Requests to HEAD manifest',
    next: NOT_BEFORE,
    quietMs: 3_000,
  },
  {
    what: 'the source is broken (500)',
    at: SOURCE,
    fault: fault(REFUSALS.internal, GET_LAYER),
    outcome: 'RegistryUnavailable',
    told: 'answered 500 Internal Server Error to GET layer',
    next: RETRIED,
  },
  {
    what: 'the source is down behind its proxy (503)',
    at: SOURCE,
    fault: fault(REFUSALS.unavailable, GET_MANIFEST),
    outcome: 'RegistryUnavailable',
    told: 'answered 503 Service Unavailable to GET manifest',
    next: RETRIED,
  },
  {
    what: 'the source changes a byte of the manifest',
    at: SOURCE,
    fault: fault({ kind: 'corrupt', body: 'answer', atByte: 150 }, GET_MANIFEST),
    outcome: 'Unknown',
    told: 'sent a manifest that cannot be read',
    next: RETRIED,
  },
  {
    what: 'the source breaks off in the middle of the manifest',
    at: SOURCE,
    fault: fault({ kind: 'cut', body: 'answer', afterBytes: 10 }, GET_MANIFEST),
    outcome: 'RegistryUnavailable',
    told: 'broke off in the middle of a manifest (unexpected EOF)',
    next: RETRIED,
  },
  {
    what: 'the backup refuses our login (401)',
    at: BACKUP,
    fault: fault(REFUSALS.login, {}),
    outcome: 'Unauthorized',
    told: 'answered 401 Unauthorized to POST layer',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup lets us read and not write (403)',
    at: BACKUP,
    fault: fault(REFUSALS.forbidden, WRITE),
    outcome: 'Unauthorized',
    told: 'answered 403 Forbidden to POST layer upload (DENIED: requested access to the resource is denied)',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup forbids the layers (403)',
    at: BACKUP,
    fault: fault(REFUSALS.forbidden, UPLOAD),
    outcome: 'Unauthorized',
    told: 'answered 403 Forbidden to PATCH layer upload; the credentials for the backup registry may not do this',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup wants its repositories created first (404)',
    at: BACKUP,
    fault: fault(REFUSALS.unknownRepository, START_UPLOAD),
    outcome: 'NotFound',
    told: 'does not exist in the registry with id',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup is full, and says so at the first layer',
    at: BACKUP,
    fault: fault(REFUSALS.quota, START_UPLOAD),
    outcome: 'QuotaExceeded',
    told: 'will exceed the configured upper limit of 1.0 GiB.); a quota or an upload limit is reached',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup is full, and says so at the manifest',
    at: BACKUP,
    fault: fault(REFUSALS.quota, PUT_MANIFEST),
    outcome: 'QuotaExceeded',
    told: 'will exceed the configured upper limit of 1.0 GiB.); a quota or an upload limit is reached',
    next: LEFT_ALONE,
  },
  {
    what: 'a proxy before the backup lets no layer through (413)',
    at: BACKUP,
    fault: fault(REFUSALS.tooLarge, UPLOAD),
    outcome: 'QuotaExceeded',
    told: 'answered 413 Payload Too Large to PATCH layer upload; a quota or an upload limit is reached',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup refuses the tag of the copy, because tags are immutable',
    at: BACKUP,
    fault: fault(REFUSALS.immutable, TAG_COPY),
    outcome: 'ImmutableTag',
    told: 'cannot be overwritten because the tag is immutable',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup does not take such a manifest',
    at: BACKUP,
    fault: fault(REFUSALS.unsupported, PUT_MANIFEST),
    outcome: 'Unsupported',
    told: 'answered 400 Bad Request to PUT manifest (MANIFEST_INVALID',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup keeps the copy back, because a policy of its own forbids it (412)',
    at: BACKUP,
    fault: fault(REFUSALS.keptBack, { method: 'HEAD|GET', path: /\/manifests\/sha256:/ }),
    outcome: 'Unsupported',
    told: '; a policy of that registry keeps the image back',
    next: LEFT_ALONE,
  },
  {
    what: 'the backup is broken where it is looked at (500)',
    at: BACKUP,
    fault: fault(REFUSALS.internal, FIND_COPY),
    outcome: 'RegistryUnavailable',
    told: 'answered 500 Internal Server Error to',
    next: RETRIED,
  },
  {
    what: 'the backup is broken where it is written to (500)',
    at: BACKUP,
    fault: fault(REFUSALS.internal, START_UPLOAD),
    outcome: 'RegistryUnavailable',
    told: 'answered 500 Internal Server Error to POST layer upload',
    next: RETRIED,
  },
  {
    what: 'the backup is down behind its proxy (503)',
    at: BACKUP,
    fault: fault(REFUSALS.unavailable, PUT_MANIFEST),
    outcome: 'RegistryUnavailable',
    told: 'answered 503 Service Unavailable to PUT manifest',
    next: RETRIED,
  },
  {
    what: 'the way to the backup changes a byte of every layer',
    at: BACKUP,
    fault: fault({ kind: 'corrupt', body: 'request', atByte: 40 }, UPLOAD),
    outcome: 'Unknown',
    told: 'DIGEST_INVALID: provided digest did not match uploaded content',
    next: RETRIED,
  },
  {
    what: 'the way to the backup is cut in the middle of the manifest',
    at: BACKUP,
    fault: fault({ kind: 'cut', body: 'request', afterBytes: 10 }, PUT_MANIFEST),
    outcome: 'RegistryUnavailable',
    told: 'no answer from backup registry',
    next: RETRIED,
  },
];

const TOO_LATE = 'not done after 3 s';

/** What only COPY_TIMEOUT ends; here that is 3 s. */
export const ENDLESS: readonly FaultRow[] = [
  {
    what: 'the source does not send a layer',
    at: SOURCE,
    fault: fault({ kind: 'hold' }, GET_LAYER),
    outcome: 'Timeout',
    told: 'had not answered GET layer',
    next: RETRIED,
  },
  {
    what: 'the source breaks off in the middle of every layer',
    at: SOURCE,
    fault: fault({ kind: 'cut', body: 'answer', afterBytes: 300 }, GET_LAYER),
    outcome: 'Timeout',
    told: TOO_LATE,
    next: RETRIED,
  },
  {
    what: 'the backup does not take a layer',
    at: BACKUP,
    fault: fault({ kind: 'hold' }, UPLOAD),
    outcome: 'Timeout',
    told: 'layers done; layers were on their way from',
    next: RETRIED,
  },
  {
    what: 'the way to the backup is cut in the middle of every layer',
    at: BACKUP,
    fault: fault({ kind: 'cut', body: 'request', afterBytes: 300 }, UPLOAD),
    outcome: 'Timeout',
    told: TOO_LATE,
    next: RETRIED,
  },
  {
    what: 'the backup is broken where layers are written (500)',
    at: BACKUP,
    fault: fault(REFUSALS.internal, UPLOAD),
    outcome: 'Timeout',
    told: TOO_LATE,
    next: RETRIED,
  },
];

export interface HarmlessRow {
  readonly what: string;
  readonly at: 'source' | 'backup';
  readonly faults: readonly Fault[];
}

/** What the copy gets over by itself: nothing to tell. */
export const HARMLESS: readonly HarmlessRow[] = [
  {
    what: 'the source breaks off in the middle of a layer, once',
    at: SOURCE,
    faults: [{ ...fault({ kind: 'cut', body: 'answer', afterBytes: 300 }, GET_LAYER), times: 1 }],
  },
  {
    what: 'the source asks for a second without us in the middle of a copy',
    at: SOURCE,
    faults: [{ ...fault(tooManyFor(1), GET_LAYER), times: 1 }],
  },
  {
    what: 'the source is broken (500) for a moment',
    at: SOURCE,
    faults: [{ ...fault(REFUSALS.internal, GET_LAYER), times: 2 }],
  },
  {
    what: 'the source refuses HEAD (405)',
    at: SOURCE,
    faults: [fault(REFUSALS.headNotAllowed, { method: 'HEAD' })],
  },
  {
    what: 'the backup refuses HEAD of manifests (405)',
    at: BACKUP,
    faults: [fault(REFUSALS.headNotAllowed, { method: 'HEAD', path: /\/manifests\// })],
  },
  {
    what: 'both ways are slow',
    at: SOURCE,
    faults: [fault({ kind: 'throttle', bytesPerSecond: 10_000 }, { method: 'GET' })],
  },
  {
    what: 'a proxy before the backup takes layers in small pieces only (413)',
    at: BACKUP,
    faults: [{ ...fault(REFUSALS.tooLarge, { method: 'PUT', path: /\/blobs\/uploads\// }), times: 2 }],
  },
  {
    what: 'the backup has immutable tags, and the plain tag is taken',
    at: BACKUP,
    faults: [fault(REFUSALS.immutable, { method: 'PUT', path: /\/manifests\/1\.0$/ })],
  },
  {
    what: 'the backup has immutable tags, and its first answer gets lost',
    at: BACKUP,
    faults: [{ ...fault({ kind: 'lose answer' }, TAG_COPY), times: 1 }, fault(REFUSALS.immutable, TAG_COPY)],
  },
];
