import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { KubeConnection } from '../../support/kube-transport.ts';
import type { ListCost, ListKind, ListOrder, WatchCost } from './list-process.ts';

export interface ListMeasurement {
  readonly list: ListCost;
  readonly watch: WatchCost;
}

export interface ListOptions {
  readonly kind: ListKind;
  readonly connection: KubeConnection;
  readonly watchEvents: number;
  /** Changes as many objects as events are to be watched. */
  readonly touch: () => Promise<void>;
}

/** Lists everything in a new process, then watches it. */
export async function measureList(options: ListOptions): Promise<ListMeasurement> {
  const { kind, connection, watchEvents, touch } = options;
  const child = fork(fileURLToPath(import.meta.resolve('./list-process.ts')), {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const receive = async (): Promise<unknown> => {
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the ${kind} ended too early`);
    });
    ended.catch(() => undefined);
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [unknown];
    return message;
  };
  const order: ListOrder = { kind, connection };
  child.send(order);
  const list = (await receive()) as ListCost;
  child.send({ watch: watchEvents });
  await receive();
  await touch();
  const watch = (await receive()) as WatchCost;
  child.disconnect();
  await once(child, 'exit');
  return { list, watch };
}

/** Time and bytes of the same list with curl, which looks at none of it. */
export async function measureCurl(
  { server, token }: KubeConnection,
  authorityFile: string,
): Promise<{ readonly wallMs: number; readonly bytes: number }> {
  const child = execFile('curl', ['--silent', '--fail', '--config', '-']);
  child.stdin?.end(
    [
      `url = "${server}/apis/apps/v1/deployments"`,
      `header = "Authorization: Bearer ${token}"`,
      `cacert = "${authorityFile}"`,
      'output = "/dev/null"',
      'write-out = "%{time_total} %{size_download}"',
    ].join('\n'),
  );
  let written = '';
  child.stdout?.on('data', (chunk: string) => {
    written += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  const [seconds = Number.NaN, bytes = Number.NaN] = written.split(' ').map(Number);
  if (code !== 0 || Number.isNaN(bytes)) {
    throw new Error(`curl ended with ${code}`);
  }
  return { wallMs: seconds * 1_000, bytes };
}
