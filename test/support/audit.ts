import { readFile } from 'node:fs/promises';

import { CONTROLLER_NAMESPACE } from './controller.ts';

export interface AuditLine {
  readonly user: { readonly username: string };
  readonly verb: string;
  /** Path and query. */
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    /** Of a list of all namespaces there is none. */
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface AuditOptions {
  /** As `namespace:name`; that of the controller, unless named. */
  readonly serviceAccount?: string;
  readonly since: Date;
}

/** What a ServiceAccount has asked the API server for since a time: other tests have asked it, too. */
export async function readAuditLog(
  file: string,
  { serviceAccount = `${CONTROLLER_NAMESPACE}:backup-image-registry-sa`, since }: AuditOptions,
): Promise<readonly AuditLine[]> {
  // The last line may be half written.
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
  return lines
    .map((line) => JSON.parse(line) as AuditLine)
    .filter(({ user }) => user.username === `system:serviceaccount:${serviceAccount}`)
    .filter(({ requestReceivedTimestamp }) => Date.parse(requestReceivedTimestamp) >= since.getTime());
}

const toText = (group: string, resource: string, verb: string): string => `${verb} ${resource}.${group}`;

/** As `patch deployments.apps`. */
export function listUsed(lines: readonly AuditLine[]): ReadonlySet<string> {
  return new Set(
    lines.map(({ verb, objectRef }) => toText(objectRef?.apiGroup ?? '', objectRef?.resource ?? '', verb)),
  );
}

/** In the same words. */
export function listGranted(rules: readonly Rule[]): readonly string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => toText(group, resource, verb))),
    ),
  );
}
