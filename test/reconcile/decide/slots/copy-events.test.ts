import { expect, it } from 'vitest';

import { parseReference } from '../../../../src/images/reference.ts';
import type { FailedCopy } from '../../../../src/reconcile/copies/copy-state.ts';
import { planEvents } from '../../../../src/reconcile/decide/slots/copy-events.ts';
import { parseRecord } from '../../../../src/workloads/record.ts';
import { aSlot, DIGEST } from '../../../support/builders.ts';

const FORMER = `old.example/q/docker.io/library/nginx:1.27@${DIGEST}`;
const GONE: FailedCopy = {
  phase: 'failed',
  reason: 'NotFound',
  side: 'source',
  message: 'nginx:1.27 does not exist',
  isFinal: true,
  sinceMs: 0,
};

function tell(failure: FailedCopy, more: object = {}): readonly string[] {
  const request = { source: parseReference('nginx:1.27'), digest: DIGEST, isProven: false };
  const plan = {
    is: 'to be backed up',
    slot: aSlot(FORMER),
    original: 'nginx:1.27',
    request,
    ...more,
  } as const;
  return planEvents(plan, failure, parseRecord({})).map(({ reason, note }) => `${reason}: ${note}`);
}

it('names the setting that lets an image come from its former copy, where no other source has it', () => {
  const [told] = tell(GONE, { isOfUnknownBackup: true });
  expect(told).toMatch(
    /^CopyFailed: .* does not exist\. The workload stays as it is\. It runs from "old\.example\/q\//,
  );
  expect(told).toMatch(/name that prefix in FORMER_PREFIXES, .* It is tried again when config\.json changes/);
});

it('names it not where it would not help', () => {
  const told = [
    ...tell(GONE),
    ...tell({ ...GONE, side: 'backup', reason: 'Unauthorized' }, { isOfUnknownBackup: true }),
  ];
  expect(told).toHaveLength(2);
  expect(told.join()).not.toContain('FORMER_PREFIXES');
});
