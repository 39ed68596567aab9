import { UsageError } from '../../errors.ts';
import type { Settings } from '../../settings/settings.ts';
import { isInScope } from '../../workloads/scope.ts';
import {
  type CommandOptions,
  fetchSettings,
  findController,
  listWorkloads,
  readNamespacePolicies,
  withConnection,
} from '../cluster.ts';
import { type Selection, selectWorkloads } from '../selection.ts';
import { formatJson, formatTable } from '../text-table.ts';
import { createScope, findKinds } from '../../settings/scope.ts';
import { type MapRow, mapImages } from './image-map.ts';
import {
  findMirrors,
  formatHostsToml,
  formatRegistriesConf,
  hostsTomlPath,
  type Mirrors,
} from './mirrors.ts';

export type MapOutput = 'table' | 'json' | 'containerd' | 'cri-o';

export interface MapOptions extends CommandOptions {
  readonly selection: Selection;
  readonly output: MapOutput;
}

const CONTAINERD_FOLDER = '/etc/containerd/certs.d';
const CRIO_FILE = '/etc/containers/registries.conf.d/50-backup-image-registry.conf';

function formatRows(rows: readonly MapRow[]): string {
  const cells = rows.map(({ source, copy, swapped, workloads }) => [
    `${workloads.length}`,
    swapped ? 'yes' : 'no',
    source,
    copy,
  ]);
  return formatTable(['WORKLOADS', 'SWAPPED', 'SOURCE', 'COPY'], cells);
}

function formatRowsAsJson(rows: readonly MapRow[]): string {
  return formatJson({
    images: rows.map(({ source, copy, swapped, workloads }) => ({ source, copy, swapped, workloads })),
  });
}

function formatContainerd({ mirrors }: Mirrors): string {
  return mirrors
    .map((mirror) => `# ${CONTAINERD_FOLDER}/${hostsTomlPath(mirror)}\n${formatHostsToml(mirror)}`)
    .join('\n');
}

/** @throws {UsageError} when there is nothing that a mirror could lead to. */
async function printMirrors(rows: readonly MapRow[], settings: Settings, options: MapOptions): Promise<void> {
  const found = findMirrors(rows, settings.INSECURE_REGISTRIES);
  const { mirrors, flat } = found;
  if (mirrors.length === 0 && flat.length > 0) {
    throw new UsageError(
      'a mirror has the paths of its source, and the copies have flat names here: only NAMING=nested, at a ' +
        'registry that allows it, makes copies that a mirror can lead to',
    );
  }
  if (flat.length > 0) {
    await options.terminal.say(
      `Not mirrored, because their copies have flat names, which no mirror leads to: ${flat.join(', ')}`,
    );
  }
  await options.terminal.print(
    options.output === 'containerd'
      ? formatContainerd(found)
      : `# ${CRIO_FILE}\n${formatRegistriesConf(mirrors)}`,
  );
}

/**
 * Prints which copy belongs to which image in use. Asks the API server only, and writes nothing.
 *
 * @throws {UsageError} when the settings cannot be used, or the output is not possible with them.
 * @throws {ApiError} when the API server cannot be asked.
 */
export async function map(options: MapOptions): Promise<number> {
  return withConnection(options, async (connection) => {
    const settings = await fetchSettings(connection, options);
    const scope = createScope(settings, findController(options));
    const policies = await readNamespacePolicies(connection, options);
    const workloads = await listWorkloads(connection, { ...options.selection, kinds: findKinds(settings) });
    const selected = selectWorkloads(workloads, options.selection).filter((one) => isInScope(one, scope));
    const { REGISTRY_PREFIX: prefix, NAMING: naming, SOURCE_HOSTS: sourceHosts } = settings;
    const rows = mapImages(selected, { prefix, naming, sourceHosts, policies });
    switch (options.output) {
      case 'table':
        await options.terminal.print(formatRows(rows));
        break;
      case 'json':
        await options.terminal.print(formatRowsAsJson(rows));
        break;
      case 'containerd':
      case 'cri-o':
        await printMirrors(rows, settings, options);
    }
    return 0;
  });
}
