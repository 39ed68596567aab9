import { isDigest } from '../../images/reference.ts';
import type { CopyProgress } from '../../reconcile/ports.ts';
import type { Layer } from '../manifests/listed-layers.ts';
import type { TraceLine, TracedRequest } from './trace-line.ts';

/** Tells how far one run of the engine is. */
export interface CopyMeter {
  /** To be told of every line of the trace. */
  note(line: TraceLine): void;
  read(): CopyProgress;
  /** Those that were sent, or found in the backup, if their size is known. */
  listDone(): readonly Layer[];
}

/** Who hears at once of what becomes of a layer. */
export interface LayerWatcher {
  /** It was sent; the size is that of its download. */
  readonly onSent?: (layer: Layer) => void;
  /** Its download has begun; or it is in the backup, sent or found. */
  readonly onChange?: (digest: string, state: 'begun' | 'done') => void;
}

interface MeteredLayer {
  readonly digest: string;
  /** Undefined until its download begins. */
  bytes: number | undefined;
  /** As the backup says that has it. */
  foundBytes: number | undefined;
  isDone: boolean;
}

/** No image has as many; somebody might make one to fill our memory. */
const MOST_LAYERS = 5_000;

/**
 * The engine names a layer when it has read the manifest that lists it, and says how large it is when its download
 * begins: no request is needed to know.
 */
export function createCopyMeter({ onSent, onChange }: LayerWatcher = {}): CopyMeter {
  const layers = new Map<string, MeteredLayer>();

  function finish(layer: MeteredLayer | undefined, isSent: boolean): void {
    if (!layer || layer.isDone) {
      return;
    }
    layer.isDone = true;
    onChange?.(layer.digest, 'done');
    if (isSent) {
      onSent?.({ digest: layer.digest, sizeBytes: layer.bytes ?? 0 });
    }
  }

  function noteDownload(request: TracedRequest): void {
    // Storage that a registry redirects to has the digest in its paths as well.
    const layer = layers.get(`sha256:${/[a-f0-9]{64}/.exec(request.url.pathname)?.[0]}`);
    const bytes = readLength(request);
    if (layer && bytes !== undefined) {
      layer.bytes = bytes;
      onChange?.(layer.digest, 'begun');
    }
  }

  function noteFound(request: TracedRequest): void {
    const layer = layers.get(request.url.pathname.split('/').at(-1) ?? '');
    if (layer) {
      layer.foundBytes = readLength(request);
    }
    finish(layer, false);
  }

  function noteRequest(request: TracedRequest): void {
    const { method, url, status } = request;
    if (method === 'GET' && status === 200) {
      noteDownload(request);
    }
    if (method === 'HEAD' && status === 200) {
      noteFound(request);
    }
    // Of a source nothing is asked but to read, wherever it may send the engine.
    if (status === 201 && (method === 'PUT' || method === 'POST')) {
      finish(layers.get(url.searchParams.get('mount') ?? ''), false);
      finish(layers.get(url.searchParams.get('digest') ?? ''), true);
    }
  }

  return {
    note({ layer, request }) {
      if (layer !== undefined && !layers.has(layer) && layers.size < MOST_LAYERS) {
        layers.set(layer, { digest: layer, bytes: undefined, foundBytes: undefined, isDone: false });
      }
      if (request) {
        noteRequest(request);
      }
    },
    read: () => sumUp([...layers.values()]),
    listDone: () => listDone(layers.values()),
  };
}

function sumUp(layers: readonly MeteredLayer[]): CopyProgress {
  const done = layers.filter(({ isDone }) => isDone);
  return {
    layers: layers.length,
    layersDone: done.length,
    bytesBegun: sumBytes(layers),
    bytesDone: sumBytes(done),
  };
}

function listDone(layers: Iterable<MeteredLayer>): readonly Layer[] {
  return [...layers].flatMap(({ digest, isDone, foundBytes, bytes = foundBytes }) =>
    isDone && bytes !== undefined && isDigest(digest) ? [{ digest, sizeBytes: bytes }] : [],
  );
}

function readLength({ headers }: TracedRequest): number | undefined {
  const bytes = Number(headers['Content-Length']?.[0] ?? Number.NaN);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

function sumBytes(layers: readonly MeteredLayer[]): number {
  return layers.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
}
