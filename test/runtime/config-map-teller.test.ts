import { expect, it } from 'vitest';

import { createConfigMapTeller } from '../../src/runtime/config-map-teller.ts';

const CONFIG_MAP = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  namespace: 'own',
  name: 'configuration',
  uid: 'u',
  resourceVersion: '1',
};

/** Reasons of the events that a process tells which finds everything wrong. */
function tellAll({ hasLease = true, hasConfigMap = true }): readonly string[] {
  const told: string[] = [];
  const teller = createConfigMapTeller({
    settingsWatch: { findConfigMap: () => (hasConfigMap ? CONFIG_MAP : undefined) },
    events: { record: (_, { reason }) => told.push(reason) },
    lease: { isLeader: () => hasLease },
  });
  teller.tellRefused('NAMING must be auto, nested or flat');
  teller.tellForbidden(['CronJob']);
  teller.tellForbidden([]);
  return told;
}

it('tells what is wrong with the settings while it has the Lease', () => {
  expect(tellAll({})).toEqual(['ConfigInvalid', 'KindForbidden']);
});

it('leaves it to the holder of the Lease to tell', () => {
  expect(tellAll({ hasLease: false })).toEqual([]);
});

it('tells nobody when there is no ConfigMap', () => {
  expect(tellAll({ hasConfigMap: false })).toEqual([]);
});
