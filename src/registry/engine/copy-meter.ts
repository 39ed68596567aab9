import type { CopyProgress } from '../../reconcile/ports.ts';
import type { TraceLine, TracedRequest } from './trace-line.ts';

/** Tells how far one run of the engine is. */
export interface CopyMeter {
  /** To be told of every line of the trace. */
  note(line: TraceLine): void;
  read(): CopyProgress;
}

interface Layer {
  /** Undefined until its download begins. */
  bytes: number | undefined;
  isDone: boolean;
}

/** No image has as many; somebody might make one to fill our memory. */
const MOST_LAYERS = 5_000;

/**
 * The engine names a layer when it has read the manifest that lists it, and says how large it is when its download
 * begins: no request is needed to know. `onSent` is told the size of every layer that was sent.
 */
export function createCopyMeter(onSent: (bytes: number) => void): CopyMeter {
  const layers = new Map<string, Layer>();

  function finish(layer: Layer | undefined, isSent: boolean): void {
    if (!layer || layer.isDone) {
      return;
    }
    layer.isDone = true;
    if (isSent) {
      onSent(layer.bytes ?? 0);
    }
  }

  function noteDownload({ url, headers }: TracedRequest): void {
    // Storage that a registry redirects to has the digest in its paths as well.
    const layer = layers.get(`sha256:${/[a-f0-9]{64}/.exec(url.pathname)?.[0]}`);
    const bytes = Number(headers['Content-Length']?.[0]);
    if (layer && Number.isSafeInteger(bytes)) {
      layer.bytes = bytes;
    }
  }

  function noteRequest(request: TracedRequest): void {
    const { method, url, status } = request;
    if (method === 'GET' && status === 200) {
      noteDownload(request);
    }
    if (method === 'HEAD' && status === 200) {
      finish(layers.get(url.pathname.split('/').at(-1) ?? ''), false);
    }
    if (status === 201) {
      finish(layers.get(url.searchParams.get('mount') ?? ''), false);
      finish(layers.get(url.searchParams.get('digest') ?? ''), true);
    }
  }

  return {
    note({ layer, request }) {
      if (layer !== undefined && !layers.has(layer) && layers.size < MOST_LAYERS) {
        layers.set(layer, { bytes: undefined, isDone: false });
      }
      if (request) {
        noteRequest(request);
      }
    },
    read() {
      const all = [...layers.values()];
      const done = all.filter(({ isDone }) => isDone);
      return {
        layers: all.length,
        layersDone: done.length,
        bytesBegun: sumBytes(all),
        bytesDone: sumBytes(done),
      };
    },
  };
}

function sumBytes(layers: readonly Layer[]): number {
  return layers.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
}
