import { describe, expect, it } from 'vitest';

import { projectImageOwners } from '../../../src/kubernetes/workloads/image-owners.ts';

const OURS = 'backup-image-registry-controller';

interface EntryParts {
  readonly operation?: string;
  readonly time?: string;
  readonly subresource?: string;
  readonly fields?: object;
}

const IMAGE = { 'f:spec': { 'f:template': { 'f:spec': { 'f:containers': item({ 'f:image': {} }) } } } };

function item(fields: object): object {
  return { 'k:{"name":"app"}': { '.': {}, 'f:name': {}, ...fields } };
}

function anEntry(manager: string, parts: EntryParts = {}): object {
  const { operation = 'Update', time = '2026-01-01T00:00:00Z', subresource, fields = IMAGE } = parts;
  return {
    manager,
    operation,
    time,
    apiVersion: 'apps/v1',
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource && { subresource }),
  };
}

function inTemplate(podSpec: object): object {
  return { 'f:spec': { 'f:template': { 'f:spec': podSpec } } };
}

const namesOf = (managedFields: unknown): readonly string[] =>
  (projectImageOwners(managedFields).imageOwners ?? []).map(({ manager }) => manager);

describe('the owners of images', () => {
  it.each([
    ['a container', inTemplate({ 'f:containers': item({ 'f:image': {} }) })],
    ['an init container', inTemplate({ 'f:initContainers': item({ 'f:image': {} }) })],
    ['an image volume', inTemplate({ 'f:volumes': item({ 'f:image': { 'f:reference': {} } }) })],
    [
      'a container of a job',
      { 'f:spec': { 'f:jobTemplate': inTemplate({ 'f:containers': item({ 'f:image': {} }) }) } },
    ],
  ])('are those who own that of %s', (_, fields) => {
    expect(namesOf([anEntry('helm', { fields })])).toEqual(['helm']);
  });

  it.each([
    ['other fields of a container', anEntry('x', { fields: inTemplate({ 'f:containers': item({}) }) })],
    ['no template', anEntry('x', { fields: { 'f:metadata': { 'f:labels': {} } } })],
    ['the status', anEntry('x', { subresource: 'status' })],
    ['something that is no entry', 'x'],
    ['fields of another form', anEntry('x', { fields: ['f:spec'] })],
  ])('are not those of %s', (_, entry) => {
    expect(projectImageOwners([entry])).toEqual({});
  });

  it('come newest first, and we last at the same second', () => {
    const entries = [
      anEntry('old', { time: '2025-01-01T00:00:00Z' }),
      anEntry(OURS),
      anEntry('new', { operation: 'Apply' }),
    ];
    expect(projectImageOwners(entries)).toEqual({
      imageOwners: [
        { manager: 'new', isApply: true },
        { manager: OURS, isApply: false },
        { manager: 'old', isApply: false },
      ],
      ownFieldsAt: 1,
    });
  });

  it('are none where there is no list', () => {
    expect([undefined, null, 'x', {}].map((value) => projectImageOwners(value))).toEqual([{}, {}, {}, {}]);
  });
});
