import { pino } from 'pino';
import { beforeEach, expect, it } from 'vitest';

import { LiveSettings } from '../../src/settings/live-settings.ts';

const GOOD = { REGISTRY_PREFIX: 'registry.example.com/backup' };

let heard: string[];
let live: LiveSettings;

beforeEach(() => {
  heard = [];
  live = new LiveSettings({ environment: {}, log: pino({ enabled: false }) });
  live.listen({
    onChanged: (settings) => heard.push(`changed to ${settings.REGISTRY_PREFIX.host}`),
    onRefused: (problem) => heard.push(`refused: ${problem}`),
  });
});

it('takes an edit', () => {
  live.apply(GOOD);
  live.apply({ REGISTRY_PREFIX: 'other.example/b' });
  expect(heard).toEqual(['changed to registry.example.com', 'changed to other.example']);
});

it('says nothing about an edit that changes no setting', () => {
  live.apply(GOOD);
  live.apply({ ...GOOD, NAMING: 'auto' });
  expect(heard).toEqual(['changed to registry.example.com']);
});

it('keeps the last good settings when an edit has one bad key', () => {
  live.apply(GOOD);
  live.apply({ REGISTRY_PREFIX: 'other.example/b', NAMING: 'x' });
  expect(live.current.REGISTRY_PREFIX.host).toBe('registry.example.com');
  expect(live.problem).toMatch(/^NAMING/);
  expect(heard[1]).toMatch(/^refused: NAMING/);
});

it('says so when a refused edit is taken back', () => {
  live.apply(GOOD);
  live.apply({ ...GOOD, NAMING: 'x' });
  live.apply(GOOD);
  expect(heard.at(-1)).toBe('changed to registry.example.com');
  expect(live.problem).toBeUndefined();
});

it('refuses the same edit once', () => {
  live.apply({ NAMING: 'x' });
  live.apply({ NAMING: 'x' });
  expect(heard).toHaveLength(1);
});

it('keeps the last good settings when the ConfigMap is deleted', () => {
  live.apply(GOOD);
  live.apply(undefined);
  expect(live.current.REGISTRY_PREFIX.host).toBe('registry.example.com');
  expect(live.problem).toBeUndefined();
});

it('is not known before the first good settings', () => {
  live.apply(undefined);
  expect(live.isKnown).toBe(false);
  expect(() => live.current).toThrow(/before they are known/);
});
