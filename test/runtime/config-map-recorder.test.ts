import { expect, it } from 'vitest';

import { createConfigMapRecorder } from '../../src/runtime/config-map-recorder.ts';

const CONFIG_MAP = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  namespace: 'own',
  name: 'configuration',
  uid: 'u',
  resourceVersion: '1',
};

/** Reasons of the events that a process tells which finds everything wrong. */
function recordAll({ hasLease = true, hasConfigMap = true }): readonly string[] {
  const told: string[] = [];
  const configMapRecorder = createConfigMapRecorder({
    settingsWatch: { findConfigMap: () => (hasConfigMap ? CONFIG_MAP : undefined) },
    events: { record: (_, { reason }) => told.push(reason) },
    lease: { isLeader: () => hasLease },
  });
  configMapRecorder.recordRefused('NAMING must be auto, nested or flat');
  configMapRecorder.recordForbidden(['CronJob']);
  configMapRecorder.recordForbidden([]);
  return told;
}

it('tells what is wrong with the settings while it has the Lease', () => {
  expect(recordAll({})).toEqual(['ConfigInvalid', 'KindForbidden']);
});

it('leaves it to the holder of the Lease to tell', () => {
  expect(recordAll({ hasLease: false })).toEqual([]);
});

it('tells nobody when there is no ConfigMap', () => {
  expect(recordAll({ hasConfigMap: false })).toEqual([]);
});

it.each([
  [{ untilMs: 0 }, /^No workload is pointed at its copy any more, because swaps in three namespaces/],
  [{ namespace: 'shop', untilMs: 0 }, /^No workload of the namespace shop is .*The other namespaces go on/],
])('tells where swapping is stopped', (stop, note) => {
  const notes: string[] = [];
  createConfigMapRecorder({
    settingsWatch: { findConfigMap: () => CONFIG_MAP },
    events: { record: (_, event) => notes.push(event.note) },
    lease: { isLeader: () => true },
  }).recordStopped(stop);
  expect(notes).toEqual([expect.stringMatching(note)]);
});
