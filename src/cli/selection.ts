import { UsageError } from '../errors.ts';
import { quote } from '../images/reference.ts';
import { KINDS, type WorkloadKind, type WorkloadName } from '../workloads/kinds.ts';

/** Which workloads a command is about: all, those of one namespace, or one of them. */
export interface Selection {
  readonly namespace?: string;
  readonly workload?: Pick<WorkloadName, 'kind' | 'name'>;
}

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

function findKind(text: string): WorkloadKind | undefined {
  const word = text.toLowerCase();
  return (Object.keys(KINDS) as WorkloadKind[]).find((kind) => {
    const { plural, shortName, apiVersion } = KINDS[kind];
    const names = [kind.toLowerCase(), plural];
    const group = apiVersion.replace(/\/.*/, '');
    return word === shortName || names.some((name) => word === name || word === `${name}.${group}`);
  });
}

function parseName(text: string): Pick<WorkloadName, 'kind' | 'name'> {
  const [, kindText = '', name = ''] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  const kind = findKind(kindText);
  if (kind === undefined || !NAME.test(name)) {
    const kinds = Object.keys(KINDS).map((one) => one.toLowerCase());
    throw new UsageError(
      `${quote(text)} names no workload: write its kind and name, such as deployment/web. Kinds: ${kinds.join(', ')}`,
    );
  }
  return { kind, name };
}

/**
 * Reads `deployment/web` as kubectl writes and prints it, with `Deployment/web` and `deploy/web` besides.
 *
 * @throws {UsageError}
 */
export function parseSelection(options: {
  readonly namespace?: string;
  readonly workload?: string;
}): Selection {
  const { namespace, workload } = options;
  if (namespace !== undefined && !NAME.test(namespace)) {
    throw new UsageError(`${quote(namespace)} is not the name of a namespace`);
  }
  const named = workload === undefined ? {} : { workload: parseName(workload) };
  if (namespace !== undefined) {
    return { namespace, ...named };
  }
  if (workload !== undefined) {
    throw new UsageError(`${quote(workload)} may be in any namespace: say which one with --namespace`);
  }
  return {};
}

/** @throws {UsageError} when the one workload that was named is not there. */
export function selectWorkloads<One extends WorkloadName>(
  workloads: readonly One[],
  { namespace, workload }: Selection,
): readonly One[] {
  const selected = workloads.filter(
    (one) =>
      (namespace === undefined || namespace === one.namespace) &&
      (workload === undefined || (workload.kind === one.kind && workload.name === one.name)),
  );
  if (workload && selected.length === 0) {
    throw new UsageError(
      `there is no ${workload.kind.toLowerCase()}/${workload.name} in the namespace ${namespace ?? ''}`,
    );
  }
  return selected;
}
