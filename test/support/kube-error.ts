/** The API server refused a request. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  /** Such as `NotFound`, `Conflict`, `Forbidden`. */
  readonly reason: string;

  constructor(message: string, answer: { readonly status: number; readonly reason: string }) {
    super(message);
    this.status = answer.status;
    this.reason = answer.reason;
  }
}

/** The API server is away or overloaded, or the connection to it broke: the same request can succeed later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof KubeError) {
    return error.status >= 500 || error.status === 429;
  }
  // Errors of the operating system and of Node's network code have a code, mistakes in our own code have none.
  return error instanceof Error && 'code' in error;
}
