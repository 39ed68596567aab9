/** A failure this controller raises on purpose. Anything else that reaches a queue is a bug. */
export abstract class ControllerError extends Error {
  /** True when the same attempt can succeed later with nothing else changed. */
  abstract readonly retryable: boolean;
  /** Fixed CamelCase word, by which the log can be searched. */
  abstract readonly reason: string;
}

/** Something the user wrote cannot be used: a setting, a flag, a file. The message says what to do. */
export class UsageError extends ControllerError {
  override readonly name = 'UsageError';
  override readonly retryable = false;
  override readonly reason = 'Usage';
}

/** The image text of a slot is not a reference: never retried, never a process argument. */
export class InvalidImageError extends ControllerError {
  override readonly name = 'InvalidImageError';
  override readonly retryable = false;
  override readonly reason = 'InvalidImage';
}

export type RegistrySide = 'source' | 'backup';

export type RegistryFailure =
  | 'NotFound'
  /** The image is there, and parts that it names are not. */
  | 'Incomplete'
  | 'Unauthorized'
  | 'RateLimited'
  | 'QuotaExceeded'
  | 'ImmutableTag'
  | 'Unsupported'
  | 'Timeout'
  | 'RegistryUnavailable'
  | 'Unknown';

/** These wait for a change of spec, settings or credentials; the others back off and try again. */
const FINAL_FAILURES: ReadonlySet<RegistryFailure> = new Set([
  'NotFound',
  'Incomplete',
  'Unauthorized',
  'QuotaExceeded',
  'ImmutableTag',
  'Unsupported',
]);

/** A registry, or the engine that talks to it, did not do what was asked. */
export class RegistryError extends ControllerError {
  override readonly name = 'RegistryError';
  override readonly reason: RegistryFailure;
  override readonly retryable: boolean;
  readonly side: RegistrySide;
  /** Wall-clock time before which the registry is not asked: it wants that (`RateLimited`), or gives no answer (`Timeout`). */
  readonly retryAtMs: number | undefined;

  constructor(
    message: string,
    options: ErrorOptions & { reason: RegistryFailure; side: RegistrySide; retryAtMs?: number },
  ) {
    super(message, options);
    this.reason = options.reason;
    this.retryable = !FINAL_FAILURES.has(options.reason);
    this.side = options.side;
    this.retryAtMs = options.retryAtMs;
  }
}

/** The backup does not take a manifest. */
export class RefusedManifestError extends RegistryError {
  /** The tag or digest under which it was to be written. */
  readonly manifest: string;
  /** The message without what a person can do about it: there may be more to say. */
  readonly said: string;

  constructor(
    message: string,
    refusal: { readonly reason: RegistryFailure; readonly manifest: string; readonly said: string },
  ) {
    super(message, { reason: refusal.reason, side: 'backup' });
    this.manifest = refusal.manifest;
    this.said = refusal.said;
  }
}

/** Of an index that a registry has, without all that it names. */
export interface AbsentParts {
  /** Of what is there, as PLATFORMS would name it. */
  readonly platforms: readonly string[];
  /** What is not there, with its platforms: a clause. */
  readonly missing: string;
}

/** An image names parts that its source does not have. */
export class IncompleteImageError extends RegistryError {
  readonly parts: AbsentParts;

  constructor(message: string, parts: AbsentParts) {
    super(message, { reason: 'Incomplete', side: 'source' });
    this.parts = parts;
  }
}

/** The API server answered with a status that is not a success. */
export class ApiError extends ControllerError {
  override readonly name = 'ApiError';
  override readonly reason: string;
  override readonly retryable: boolean;
  /** HTTP status, or 0 when no answer came. */
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: ErrorOptions & { status: number; reason: string; retryAfterMs?: number },
  ) {
    super(message, options);
    this.status = options.status;
    this.reason = options.reason;
    this.retryable = options.status === 0 || options.status === 429 || options.status >= 500;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The workload is no longer the one that was read: look again from scratch. */
export class ConflictError extends ControllerError {
  override readonly name = 'ConflictError';
  override readonly retryable = true;
  override readonly reason = 'Conflict';
}

/** What has to be read about a workload is more than may be kept in memory; the message is a clause with the figure. */
export class TooLargeError extends ControllerError {
  override readonly name = 'TooLargeError';
  override readonly retryable = false;
  override readonly reason = 'TooLarge';
}

/** The API server refused a write for a reason that a retry does not change: admission, RBAC, validation. */
export class WriteDeniedError extends ControllerError {
  override readonly name = 'WriteDeniedError';
  override readonly retryable = false;
  override readonly reason = 'WriteDenied';
  /** The annotations of the object have no room for what was to be written. */
  readonly isFull: boolean;

  constructor(message: string, { isFull = false, ...options }: ErrorOptions & { isFull?: boolean } = {}) {
    super(message, options);
    this.isFull = isFull;
  }
}
