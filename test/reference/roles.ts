import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseAllDocuments } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');

interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface Role {
  /** From the top of the repository. */
  readonly file: string;
  readonly kind: 'Role' | 'ClusterRole';
  readonly name: string;
  readonly rules: readonly PolicyRule[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata?: { readonly name: string };
  readonly rules?: readonly PolicyRule[];
}

function toRole(file: string, { kind, metadata, rules }: Manifest): readonly Role[] {
  const isRole = kind === 'Role' || kind === 'ClusterRole';
  return isRole ? [{ file, kind, name: metadata?.name ?? '', rules: rules ?? [] }] : [];
}

/** Every role that users of this project may install. */
export function readRoles(): readonly Role[] {
  const files = globSync('config/**/*.yaml', { cwd: ROOT }).toSorted();
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(ROOT, file), 'utf8')).flatMap((document) =>
      toRole(file, document.toJS() as Manifest),
    ),
  );
}

/** As `deployments.apps`, each. */
export function listResources({ apiGroups, resources }: PolicyRule): readonly string[] {
  return apiGroups.flatMap((group) =>
    resources.map((resource) => (group === '' ? resource : `${resource}.${group}`)),
  );
}
