import { ApiError } from '../errors.ts';
import type { Connection } from '../kubernetes/connection/api-client.ts';
import { createConnection } from '../kubernetes/connection/connection.ts';
import { type ConfigMap, projectConfigMap } from '../kubernetes/decode/config-map.ts';
import { projectNamespace } from '../kubernetes/decode/namespace.ts';
import { projectWorkload } from '../kubernetes/workloads/projection.ts';
import { listPages } from '../kubernetes/reflector/list-pages.ts';
import { type Settings, parseSettings } from '../settings/settings.ts';
import {
  KINDS,
  KIND_NAMES,
  type WorkloadKind,
  type WorkloadName,
  formatWorkloadKey,
} from '../workloads/kinds.ts';
import type { Scope } from '../workloads/scope.ts';
import type { Workload } from '../workloads/workload.ts';
import { CONFIG_MAP_NAME, parseEnvironment } from '../runtime/watches/settings-watch.ts';
import { type Environment, findNamespace, findSelf } from '../runtime/identity.ts';
import type { Terminal } from './terminal.ts';

/** What every command is started with. */
export interface CommandOptions {
  readonly kubeconfigPath: string | undefined;
  /** Of the controller; undefined: as the environment says, or where the manifests install it. */
  readonly controllerNamespace: string | undefined;
  /** Settings other than those of the controller, to see what they would do. */
  readonly overrides?: Readonly<Record<string, string>>;
  readonly environment: Environment;
  readonly version: string;
  readonly terminal: Terminal;
}

/** Name of the Deployment in the manifests: what a laptop takes for the controller itself. */
const DEPLOYMENT_NAME = 'k8s-backup-image-registry-controller';

/** Connects for as long as the work takes. */
export async function withConnection<Result>(
  { kubeconfigPath, environment, version }: CommandOptions,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const userAgent = `backup-image-registry/${version}`;
  const connection = await createConnection({ kubeconfigPath, environment, userAgent });
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

export function namespaceOf({ controllerNamespace, environment }: CommandOptions): string {
  return controllerNamespace ?? findNamespace(environment);
}

/** Listed, because the controller's own ServiceAccount may do that, and may not get it. Undefined: there is none. */
export async function fetchConfigMap(
  connection: Connection,
  namespace: string,
): Promise<ConfigMap | undefined> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
  const found: ConfigMap[] = [];
  await listPages(
    connection,
    { path, query: { fieldSelector: `metadata.name=${CONFIG_MAP_NAME}` } },
    (item) => {
      found.push(...[projectConfigMap(item)].filter((one) => one !== undefined));
    },
  );
  return found[0];
}

/**
 * The settings as the controller has them, but for those that are given here.
 *
 * @throws {UsageError} when they cannot be used.
 */
export async function fetchSettings(connection: Connection, options: CommandOptions): Promise<Settings> {
  const namespace = namespaceOf(options);
  const configMap = await fetchConfigMap(connection, namespace);
  const { environment, overrides = {} } = options;
  return configMap
    ? parseSettings({ ...configMap.data, ...overrides }, environment)
    : parseEnvironment({ environment: { ...environment, ...overrides }, namespace });
}

/** The controller itself. Outside the cluster it is known by its name. */
export function findController(options: CommandOptions): NonNullable<Scope['self']> {
  const { environment } = options;
  return findSelf(environment) ?? { namespace: namespaceOf(options), podName: `${DEPLOYMENT_NAME}-any-pod` };
}

/**
 * What users have written on namespaces about the policy, by namespace. Undefined when namespaces may not be listed.
 */
async function fetchNamespacePolicies(
  connection: Connection,
): Promise<ReadonlyMap<string, string> | undefined> {
  const policies = new Map<string, string>();
  try {
    await listPages(connection, { path: '/api/v1/namespaces' }, (item) => {
      const written = projectNamespace(item);
      if (written) {
        policies.set(written.namespace, written.policy);
      }
    });
    return policies;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) {
      return undefined;
    }
    throw error;
  }
}

/** The same, with a word to the user when they do not count. */
export async function readNamespacePolicies(
  connection: Connection,
  { terminal }: CommandOptions,
): Promise<ReadonlyMap<string, string>> {
  const policies = await fetchNamespacePolicies(connection);
  if (policies === undefined) {
    await terminal.say('Policies of namespaces are not counted here, because namespaces may not be listed.');
  }
  return policies ?? new Map();
}

async function listKind(
  connection: Connection,
  kind: WorkloadKind,
  where: Partial<Pick<WorkloadName, 'namespace' | 'name'>>,
): Promise<readonly Workload[]> {
  const folder = where.namespace === undefined ? '' : `/namespaces/${encodeURIComponent(where.namespace)}`;
  const path = `${KINDS[kind].path}${folder}/${KINDS[kind].plural}`;
  const query = where.name === undefined ? {} : { fieldSelector: `metadata.name=${where.name}` };
  const workloads: Workload[] = [];
  await listPages(connection, { path, query }, (item) => {
    workloads.push(...[projectWorkload(kind, item)].filter((one) => one !== undefined));
  });
  return workloads;
}

/** All workloads, or those of one namespace or of some kinds, by namespace, kind and name. */
export async function listWorkloads(
  connection: Connection,
  where: { readonly namespace?: string; readonly kinds?: readonly WorkloadKind[] } = {},
): Promise<readonly Workload[]> {
  const { kinds = KIND_NAMES } = where;
  const lists = await Promise.all(kinds.map((kind) => listKind(connection, kind, where)));
  const sortKey = (workload: WorkloadName): string => `${workload.namespace}/${formatWorkloadKey(workload)}`;
  return lists.flat().toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/** One workload as it is now; undefined when it is gone. */
export async function fetchWorkload(
  connection: Connection,
  { kind, namespace, name }: WorkloadName,
): Promise<Workload | undefined> {
  return (await listKind(connection, kind, { namespace, name }))[0];
}
