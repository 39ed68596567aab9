import { Counter, Gauge, type Registry } from 'prom-client';

import type { CopyMeasures, SnapshotReader } from './snapshot.ts';

interface Naming {
  readonly prefix: string;
  readonly registers: [Registry];
}

function createCopyCounters({ prefix, registers }: Naming) {
  return {
    copyBytes: new Counter({
      name: `${prefix}copy_bytes_total`,
      help: 'Bytes of layers that were sent to the backup.',
      registers,
    }),
    mountedBytes: new Counter({
      name: `${prefix}copy_mounted_bytes_total`,
      help: 'Bytes of layers that were not sent, because the backup took them from another of its repositories.',
      registers,
    }),
    mountedLayers: new Counter({
      name: `${prefix}copy_mounted_layers_total`,
      help: 'Layers that were not sent, because the backup took them from another of its repositories.',
      registers,
    }),
  };
}

export function createCopyMetrics({ prefix, registers }: Naming, readSnapshot: SnapshotReader) {
  const sum = (measure: keyof CopyMeasures): number =>
    readSnapshot().copiesInFlight.reduce((total, copy) => total + copy[measure], 0);
  return {
    ...createCopyCounters({ prefix, registers }),
    copiesInFlight: new Gauge({
      name: `${prefix}copies_in_flight`,
      help: 'Copies that are being made.',
      registers,
      collect() {
        this.set(readSnapshot().copiesInFlight.length);
      },
    }),
    layersInFlight: new Gauge({
      name: `${prefix}copies_in_flight_layers`,
      help: 'Layers of the copies that are being made: all that are known by now, and those that are done.',
      labelNames: ['state'],
      registers,
      collect() {
        this.set({ state: 'known' }, sum('layers'));
        this.set({ state: 'done' }, sum('layersDone'));
      },
    }),
    bytesInFlight: new Gauge({
      name: `${prefix}copies_in_flight_bytes`,
      help: 'Bytes of the layers of the copies that are being made: of those that were begun, and those that are done.',
      labelNames: ['state'],
      registers,
      collect() {
        this.set({ state: 'begun' }, sum('bytesBegun'));
        this.set({ state: 'done' }, sum('bytesDone'));
      },
    }),
    allowances: new Gauge({
      name: `${prefix}source_ratelimit_remaining`,
      help: 'Downloads that a source still allows, if it tells: Docker Hub does.',
      labelNames: ['host'],
      registers,
      collect() {
        this.reset();
        for (const { host, remaining } of readSnapshot().allowances) {
          this.set({ host }, remaining);
        }
      },
    }),
  };
}
