import { expect, it } from 'vitest';

import { createCopyMeter } from '../../../src/registry/engine/copy-meter.ts';
import { parseTraceLine } from '../../../src/registry/engine/trace-line.ts';
import type { CopyProgress } from '../../../src/reconcile/ports.ts';
import { recordings } from './recordings.ts';
import { aTraceLine } from './trace-lines.ts';

const LAYER = `sha256:${'1'.repeat(64)}`;
const SOURCE = `https://a.io/v2/app/blobs/${LAYER}`;
const NAMED = JSON.stringify({ msg: 'Copy layer', layer: LAYER });
const BEGUN = aTraceLine({ url: SOURCE, headers: { 'Content-Length': '700' } });

function measure(lines: readonly string[]): CopyProgress & { readonly sent: readonly number[] } {
  const sent: number[] = [];
  const meter = createCopyMeter({ onSent: ({ sizeBytes }) => sent.push(sizeBytes) });
  for (const text of lines) {
    const line = parseTraceLine(text);
    if (line) {
      meter.note(line);
    }
  }
  return { ...meter.read(), sent };
}

it.each(['copy-ok/trace', 'copy-ok-multi/trace'])(
  'finds every layer of the recorded run %s, and all of them done',
  (name) => {
    const { layers, layersDone, bytesBegun, bytesDone, sent } = measure(
      recordings[name]?.stderr.split('\n') ?? [],
    );
    expect(layers).toBeGreaterThan(1);
    expect(layersDone).toBe(layers);
    expect(bytesBegun).toBeGreaterThan(0);
    expect(bytesDone).toBe(bytesBegun);
    expect(sent.reduce((sum, bytes) => sum + bytes, 0)).toBe(bytesDone);
  },
);

it('knows of a layer when it is named, its size when it is begun, and that it is done when it is taken', () => {
  expect(measure([NAMED])).toMatchObject({ layers: 1, layersDone: 0, bytesBegun: 0 });
  expect(measure([NAMED, BEGUN])).toMatchObject({ layersDone: 0, bytesBegun: 700, bytesDone: 0, sent: [] });
  const url = `https://b.io/v2/app/blobs/uploads/1?digest=${encodeURIComponent(LAYER)}`;
  const taken = aTraceLine({ method: 'PUT', url, status: '201 Created' });
  expect(measure([NAMED, BEGUN, taken, taken])).toMatchObject({ layersDone: 1, bytesDone: 700, sent: [700] });
});

it('finds the size where the registry keeps its layers', () => {
  const url = `https://storage.example/blobs/sha256/11/${LAYER.slice('sha256:'.length)}/data?X-Signature=s`;
  const redirect = aTraceLine({ url: SOURCE, status: '307 Temporary Redirect' });
  const begun = aTraceLine({ url, headers: { 'Content-Length': '700' } });
  expect(measure([NAMED, redirect, begun])).toMatchObject({ bytesBegun: 700 });
});

it('counts a layer as done, and not as sent, that the backup has or mounts', () => {
  const found = aTraceLine({ method: 'HEAD', url: `https://b.io/v2/app/blobs/${LAYER}` });
  const mount = `https://b.io/v2/app/blobs/uploads/?mount=${encodeURIComponent(LAYER)}`;
  for (const line of [found, aTraceLine({ method: 'POST', url: mount, status: '201 Created' })]) {
    expect(measure([NAMED, line])).toMatchObject({ layersDone: 1, sent: [] });
  }
});

it('does not take the word of a source that a layer is there', { tags: 'attack-registry' }, () => {
  const url = `https://evil.io/here?digest=${encodeURIComponent(LAYER)}`;
  const lie = aTraceLine({ method: 'GET', url, status: '201 Created' });
  expect(measure([NAMED, BEGUN, lie])).toMatchObject({ layersDone: 0, sent: [] });
});

it('does not keep more layers than an image can have', () => {
  const lines = Array.from({ length: 6_000 }, (_, index) =>
    JSON.stringify({ msg: 'Copy layer', layer: `sha256:${index}` }),
  );
  expect(measure(lines).layers).toBe(5_000);
});

it('tells what becomes of a layer, and lists those whose size it knows', () => {
  const changes: string[] = [];
  const meter = createCopyMeter({
    onChange: (digest, state) => changes.push(`${digest.slice(-1)} ${state}`),
  });
  const found = `sha256:${'2'.repeat(64)}`;
  const headers = { 'Content-Length': '900' };
  const lines = [
    NAMED,
    JSON.stringify({ msg: 'Copy layer', layer: found }),
    JSON.stringify({ msg: 'Copy layer', layer: 'no digest' }),
    BEGUN,
    aTraceLine({ method: 'HEAD', url: `https://b.io/v2/app/blobs/${found}`, headers }),
    aTraceLine({ method: 'HEAD', url: 'https://b.io/v2/app/blobs/no digest', headers }),
  ];
  for (const line of lines.map(parseTraceLine)) {
    if (line) {
      meter.note(line);
    }
  }
  expect(changes.slice(0, 2)).toEqual(['1 begun', '2 done']);
  expect(meter.listDone()).toEqual([{ digest: found, sizeBytes: 900 }]);
  expect(meter.read().bytesDone).toBe(0);
});
