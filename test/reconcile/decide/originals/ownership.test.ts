import { describe, expect, it } from 'vitest';

import { findAppliedBy, isReleaseDue } from '../../../../src/reconcile/decide/originals/ownership.ts';
import type { ImageOwner } from '../../../../src/workloads/image-owner.ts';
import type { SwapRecord } from '../../../../src/workloads/record.ts';
import { DIGEST, aSlot, aWorkload } from '../../../support/builders.ts';

const ORIGINAL = 'nginx:1.27';
const COPY = `backup.example/p/docker.io/library/nginx:1.27@${DIGEST}`;
const RECORD: SwapRecord = {
  originals: new Map([['app', ORIGINAL]]),
  copies: new Map([['app', COPY]]),
  before: new Map(),
  swappedAtMs: 0,
};
const NO_RECORD: SwapRecord = { ...RECORD, originals: new Map(), copies: new Map() };
const US: ImageOwner = { manager: 'backup-image-registry-controller', isApply: false };

const apply = (manager: string): ImageOwner => ({ manager, isApply: true });
const update = (manager: string): ImageOwner => ({ manager, isApply: false });

describe('who would meet a conflict', () => {
  const findFor = (imageOwners: readonly ImageOwner[], appliedBy?: string): string | undefined =>
    findAppliedBy(aWorkload({ imageOwners }), { ...RECORD, ...(appliedBy && { appliedBy }) });

  it.each([
    ['helm', [apply('helm')]],
    ['kubectl', [apply('kubectl')]],
    ['helm', [update('kubectl-client-side-apply'), apply('helm')]],
  ])('is %s, which applies and does not force', (manager, owners) => {
    expect(findFor(owners)).toBe(manager);
  });

  it.each([
    ['forces: Argo CD', [apply('argocd-controller')]],
    ['forces: Flux', [apply('kustomize-controller'), apply('helm-controller')]],
    ['updates', [update('helm'), update('kubectl-client-side-apply')]],
    ['is not known', []],
  ])('is nobody when the owner %s', (_, owners) => {
    expect(findFor(owners)).toBeUndefined();
  });

  it('is still the one from the last swap when nobody but us has written since', () => {
    expect(findFor([US], 'helm')).toBe('helm');
    expect(findFor([], 'helm')).toBe('helm');
    expect(findFor([apply('argocd-controller'), US], 'helm')).toBeUndefined();
  });
});

describe('the images are given back', () => {
  it.each([
    ['after a swap whose owner would meet a conflict', true, COPY, { ...RECORD, appliedBy: 'helm' }, 1],
    ['once only', false, COPY, { ...RECORD, appliedBy: 'helm' }, undefined],
    ['not after any other swap', false, COPY, RECORD, 1],
    ['when we have put back the original', true, ORIGINAL, RECORD, 1],
    ['when we have put back the original and taken our record off', true, ORIGINAL, NO_RECORD, 1],
    ['not by those who never had them', false, ORIGINAL, NO_RECORD, undefined],
  ])('%s', (_, isDue, image, record, ownFieldsAt) => {
    const workload = aWorkload({
      slots: [aSlot(image)],
      ...(ownFieldsAt !== undefined && { ownFieldsAt }),
    });
    expect(isReleaseDue(workload, record)).toBe(isDue);
  });
});
