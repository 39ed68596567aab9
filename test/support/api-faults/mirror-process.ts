import { fileURLToPath } from 'node:url';

import { findFreePort } from '../free-port.ts';
import type { Kube } from '../kube.ts';
import type { Processes, RunningProgram } from '../processes.ts';
import { waitFor } from '../wait-for.ts';
import { MIRRORED } from './mirrored.ts';

export interface Mirror {
  readonly program: RunningProgram;
  /** Returns once it has exactly the objects of the server, each in the server's version. */
  waitUntilEqual(kube: Kube): Promise<void>;
}

/** Per list: `<uid> <resource version>` by `namespace/name`. */
type Versions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Returns when its lists are complete for the first time. */
export async function startMirror(
  processes: Processes,
  options: { readonly name: string; readonly kubeconfigFile: string },
): Promise<Mirror> {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}/`;
  const program = await processes.run({
    name: options.name,
    command: process.execPath,
    args: [
      fileURLToPath(import.meta.resolve('./mirror.ts')),
      `--kubeconfig=${options.kubeconfigFile}`,
      `--port=${port}`,
    ],
    environment: { PATH: process.env['PATH'] },
    isReady: async () => (await fetch(url)).ok,
  });
  return {
    program,
    async waitUntilEqual(kube) {
      await waitFor(
        async () => {
          const [mirrored, served] = await Promise.all([readMirror(url), readServer(kube)]);
          const differences = listDifferences(mirrored, served);
          if (differences.length > 0) {
            throw new Error(differences.slice(0, 5).join('; '));
          }
          return true;
        },
        { what: `${options.name} to equal the server`, deadlineMs: 90_000, pollMs: 200 },
      );
    },
  };
}

async function readMirror(url: string): Promise<Versions> {
  return (await (await fetch(url, { headers: { connection: 'close' } })).json()) as Versions;
}

async function readServer(kube: Kube): Promise<Versions> {
  const lists = await Promise.all(
    MIRRORED.map(async ({ resource, apiVersion, kind }) => {
      const objects = await kube.list({ apiVersion, kind });
      const versions = objects.map(({ metadata: { namespace, name, uid, resourceVersion } }) => [
        `${namespace}/${name}`,
        `${uid} ${resourceVersion}`,
      ]);
      return [resource, Object.fromEntries(versions) as Versions[string]] as const;
    }),
  );
  return Object.fromEntries(lists);
}

function listDifferences(mirrored: Versions, served: Versions): readonly string[] {
  return MIRRORED.flatMap(({ resource }) => {
    const [ours, theirs] = [mirrored[resource] ?? {}, served[resource] ?? {}];
    return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
      .filter((key) => ours[key] !== theirs[key])
      .map(
        (key) => `${resource} ${key}: ${ours[key] ?? 'not known'}, at the server ${theirs[key] ?? 'gone'}`,
      );
  });
}
