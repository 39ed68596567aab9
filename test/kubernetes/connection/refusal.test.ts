import { expect, it } from 'vitest';

import { ApiError, ConflictError, WriteDeniedError } from '../../../src/errors.ts';
import { explainRefusal } from '../../../src/kubernetes/connection/refusal.ts';

function aRefusal(status: number, field: string, message: string): ApiError {
  const cause = { message, causes: [{ field, message }] };
  return new ApiError(`PATCH deployments shop/web: ${status}`, { status, reason: 'Invalid', cause });
}

it('of annotations that are full is told from that of a policy', () => {
  const full = aRefusal(422, 'metadata.annotations', 'Too long: may not be more than 262144 bytes');
  expect(explainRefusal(full)).toMatchObject({ name: 'WriteDeniedError', isFull: true });
  const policy = aRefusal(422, 'spec.template', 'denied by a policy');
  expect(explainRefusal(policy)).toMatchObject({ name: 'WriteDeniedError', isFull: false });
  expect(explainRefusal(aRefusal(403, '', 'denied'))).toBeInstanceOf(WriteDeniedError);
});

it('of another object, or another version of it, is a conflict', () => {
  expect(explainRefusal(aRefusal(422, 'metadata.uid', 'Precondition failed'))).toBeInstanceOf(ConflictError);
  expect(explainRefusal(aRefusal(409, '', 'changed'))).toBeInstanceOf(ConflictError);
});

it('that is none stays what it is', () => {
  const down = aRefusal(503, '', 'down');
  expect(explainRefusal(down)).toBe(down);
});
