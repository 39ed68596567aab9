import { formatMarkdownTable } from './markdown-table.ts';
import type { PermissionReason } from './permission-reasons.ts';
import { listResources, type Role } from './roles.ts';

const INTRODUCTION = `<!-- Made by \`npm run reference\` from config and test/reference/permission-reasons.ts; do not edit. -->

# Permissions

What the ServiceAccount \`backup-image-registry-sa\` may do, rule by rule, and what for. A test asks a real API server for the
audit log of the controller at work: everything that it asks for is granted, and nothing is granted by
\`config/default/rbac.yaml\` that it does not ask for. Only \`list\` of what it watches is asked for where the API server cannot
stream that (before Kubernetes 1.32).
`;

const SCOPES: Readonly<Record<Role['kind'], string>> = {
  ClusterRole: 'In every namespace, and for what is in none.',
  Role: 'In its own namespace.',
};

/** One verb on one resource, with the names that limit it. */
function listGrants(rule: {
  readonly verbs: readonly string[];
  readonly resources: readonly string[];
  readonly names?: readonly string[] | undefined;
}): readonly string[] {
  const limit = rule.names ? ` named ${rule.names.join(', ')}` : '';
  return rule.verbs.flatMap((verb) => rule.resources.map((resource) => `${verb} ${resource}${limit}`));
}

function listGrantsOf({ rules }: Pick<Role, 'rules'>): readonly string[] {
  return rules.flatMap((rule) =>
    listGrants({ verbs: rule.verbs, resources: listResources(rule), names: rule.resourceNames }),
  );
}

/** What a role grants and no reason explains, or a reason explains and no role grants: both lists should be empty. */
export function compareGrants(roles: readonly Role[], reasons: readonly PermissionReason[]) {
  const granted = roles.flatMap((role) => listGrantsOf(role).map((grant) => `${role.file}: ${grant}`));
  const explained = reasons.flatMap((reason) =>
    listGrants(reason).map((grant) => `${reason.file}: ${grant}`),
  );
  return {
    unexplained: granted.filter((grant) => !explained.includes(grant)),
    ungranted: explained.filter((grant) => !granted.includes(grant)),
  };
}

function formatRole(role: Role, reasons: readonly PermissionReason[]): string {
  const granted = new Set(listGrantsOf(role));
  const rows = reasons
    .filter((reason) => reason.file === role.file && listGrants(reason).every((grant) => granted.has(grant)))
    .map(({ verbs, resources, names, why }) => [
      verbs.join(', '),
      resources.join(', '),
      names?.map((name) => `\`${name}\``).join(', ') ?? '',
      why,
    ]);
  return `### ${role.kind} ${role.name}

${SCOPES[role.kind]}

${formatMarkdownTable(['may', 'on', 'only the name', 'what for'], rows)}
`;
}

/** The page docs/reference/permissions.md: a heading for each file, a table for each role. */
export function formatPermissionsPage(roles: readonly Role[], reasons: readonly PermissionReason[]): string {
  const files = [...new Set(roles.map(({ file }) => file))];
  // What everybody installs comes first.
  const sorted = files.toSorted((a, b) => Number(b.includes('/default/')) - Number(a.includes('/default/')));
  const sections = sorted.flatMap((file) => [
    `## ${file}\n`,
    ...roles.filter((role) => role.file === file).map((role) => formatRole(role, reasons)),
  ]);
  return [INTRODUCTION, ...sections].join('\n');
}
