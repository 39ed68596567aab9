import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tools } from '../tools/build.ts';
import { findFreePort } from './free-port.ts';
import type { Processes, RunningProgram } from './processes.ts';
import { writeAccounts, type Account, type Credentials } from './registry-accounts.ts';
import { readRequestLog, type RegistryRequest } from './registry-log.ts';
import type { TokenAuth } from './token-service.ts';

/** The only account of a registry that was started with `auth`, until it gets a reader. */
const REGISTRY_ACCOUNT: Account = {
  user: 'backup',
  password: 'test-password',
  hash: '$2y$04$HqIfCa9qA26jV6kZ8QjmhudiN575.ubrlTCD4xexrKeERivgk.3mO',
};

const PASSWORD_FILE = 'htpasswd';

/** Where a registry is, and what it wants. Plain data, so that it can be handed to another process. */
export interface RegistryConnection {
  /** `127.0.0.1:12345`: how image names begin. */
  readonly host: string;
  /** `http://127.0.0.1:12345` */
  readonly url: string;
  readonly credentials?: Credentials;
  readonly logFile: string;
}

/** A real distribution registry, plain HTTP. */
export interface Registry extends RegistryConnection {
  readonly program: RunningProgram;
  /** Requests since the first start, oldest first, from the registry's own access log. */
  requests(): Promise<readonly RegistryRequest[]>;
  /** With `auth`: from now on this account may pull as well, and no other but the first. */
  setReader(reader: Account): Promise<void>;
  /** Keeps the data. */
  stop(): Promise<void>;
  /** Again on the same port, with the same data. */
  start(): Promise<void>;
}

export interface RegistryOptions {
  readonly tools: Pick<Tools, 'registry'>;
  readonly processes: Processes;
  /** Unique among the registries of one `processes`. */
  readonly name: string;
  /** Wants the credentials that the connection then has; without it, everybody may do everything. */
  readonly auth?: boolean;
  /** Wants tokens of this service instead. */
  readonly tokens?: TokenAuth;
  /** Takes an index some of whose manifests it does not have; by default it does not. */
  readonly takesPartialImages?: boolean;
  /** Of this machine, where it listens; default: loopback. */
  readonly address?: string;
}

export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { tools, processes, name, auth = false, address = '127.0.0.1' } = options;
  const folder = await processes.createFolder(name);
  const port = await findFreePort();
  const host = `${address}:${port}`;
  const url = `http://${host}`;
  const configFile = join(folder, 'config.json');
  await writeFile(configFile, JSON.stringify(configuration(options, { folder, host })));
  const passwords = join(folder, PASSWORD_FILE);
  await writeAccounts(passwords, [REGISTRY_ACCOUNT]);
  const program = await processes.run({
    name,
    command: tools.registry,
    args: ['serve', configFile],
    isReady: async () => (await fetch(`${url}/v2/`)).status < 500,
    environment: { OTEL_TRACES_EXPORTER: 'none' },
  });
  return {
    host,
    url,
    ...(auth && { credentials: REGISTRY_ACCOUNT }),
    logFile: program.logFile,
    program,
    requests: () => readRequestLog({ url, logFile: program.logFile }),
    setReader: (reader) => writeAccounts(passwords, [REGISTRY_ACCOUNT, reader]),
    stop: () => program.stop(),
    start: () => program.start(),
  };
}

/** JSON is YAML. */
function configuration(
  { auth, tokens, takesPartialImages }: RegistryOptions,
  { folder, host }: { readonly folder: string; readonly host: string },
): object {
  return {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: join(folder, 'data') },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: host, relativeurls: true, secret: 'the same after a restart' },
    ...(takesPartialImages && { validation: { manifests: { indexes: { platforms: 'none' } } } }),
    ...(auth && { auth: { htpasswd: { realm: 'test', path: join(folder, PASSWORD_FILE) } } }),
    ...(tokens && { auth: { token: tokens } }),
  };
}
