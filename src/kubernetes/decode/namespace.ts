import { POLICY } from '../../workloads/user-annotations.ts';
import { asObject, asText } from './json.ts';
import { cutText } from './own-text.ts';

/** What the controller keeps of a Namespace. */
export interface NamespacePolicy {
  readonly namespace: string;
  /** As the user wrote it: hostile until parsed. */
  readonly policy: string;
}

const LONGEST = 100;

/** Undefined for a Namespace without the annotation: of most of them nothing is kept. */
export function projectNamespace(raw: unknown): NamespacePolicy | undefined {
  const metadata = asObject(asObject(raw)['metadata']);
  const namespace = asText(metadata['name']);
  const policy = asText(asObject(metadata['annotations'])[POLICY]);
  return namespace === undefined || policy === undefined
    ? undefined
    : { namespace, policy: cutText(policy, LONGEST) };
}
