import type { Agent } from 'node:https';

import { expect, it } from 'vitest';

import { createAgents } from '../../../src/kubernetes/connection/agents.ts';
import { LOCALHOST_CERTIFICATE } from '../../registry/localhost-certificate.ts';

const TARGET = {
  server: new URL('https://127.0.0.1:6443'),
  namespace: undefined,
  readCredentials: () => Promise.resolve({ headers: {}, tls: {} }),
};

it('parses certificates once for all connections, until they change', () => {
  const agents = createAgents(TARGET);
  const contextFor = (ca: string, purpose: 'request' | 'watch'): unknown =>
    (agents.pick({ ca }, purpose) as Agent).options.secureContext;
  const first = contextFor(LOCALHOST_CERTIFICATE, 'request');
  expect(first).toBeDefined();
  expect(contextFor(LOCALHOST_CERTIFICATE, 'watch')).toBe(first);
  expect(contextFor(LOCALHOST_CERTIFICATE, 'request')).toBe(first);
  expect(contextFor(`${LOCALHOST_CERTIFICATE}\n`, 'request')).not.toBe(first);
  agents.close();
});
