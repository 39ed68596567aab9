import { z } from 'zod';

/** One line that the copy engine wrote about what it does. */
export interface TraceLine {
  readonly message: string;
  /** Digest of a layer, or of the configuration of an image, that it is about to copy. */
  readonly layer: string | undefined;
  /** Only when the line tells of an HTTP request. */
  readonly request: TracedRequest | undefined;
}

export interface TracedRequest {
  readonly method: string;
  readonly url: URL;
  /** Undefined when no answer came; then `problem` says why. */
  readonly status: number | undefined;
  readonly problem: string | undefined;
  /** Of the answer, by canonical name. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

const LINE = z.object({
  msg: z.string(),
  'req-method': z.string().default(''),
  'req-url': z.string().default(''),
  'resp-status': z.string().default(''),
  'resp-headers': z
    .record(z.string(), z.array(z.string()))
    .nullish()
    .transform((headers) => headers ?? {}),
  err: z.string().optional(),
  layer: z.string().optional(),
  digest: z.string().optional(),
});

/** Undefined for a line that is cut, or no JSON of the engine. */
export function parseTraceLine(text: string): TraceLine | undefined {
  let line: z.infer<typeof LINE>;
  try {
    line = LINE.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
  const url = line.msg === 'reg http request' ? URL.parse(line['req-url']) : null;
  if (!url) {
    return { message: line.msg, layer: findLayer(line), request: undefined };
  }
  const status = Number.parseInt(line['resp-status'], 10);
  return {
    message: line.msg,
    layer: undefined,
    request: {
      method: line['req-method'],
      url,
      status: Number.isNaN(status) ? undefined : status,
      problem: line.err,
      headers: line['resp-headers'],
    },
  };
}

function findLayer({ msg, layer, digest }: z.infer<typeof LINE>): string | undefined {
  const named = msg === 'Copy layer' ? layer : digest;
  return msg === 'Copy layer' || msg === 'Copy config' ? named : undefined;
}
