/**
 * A program made of the controller's connection and reflector, and nothing else: keeps some lists, and shows at
 * `http://127.0.0.1:<port>/` which objects it has in which version, so that a test can compare them with the server's.
 */
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { systemClock } from '../../../src/clock.ts';
import { createConnection } from '../../../src/kubernetes/connection/connection.ts';
import { asObject, asText } from '../../../src/kubernetes/decode/json.ts';
import { createReflector } from '../../../src/kubernetes/reflector/reflector.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { MIRRORED } from './mirrored.ts';

const { values } = parseArgs({
  options: { kubeconfig: { type: 'string', default: '' }, port: { type: 'string', default: '0' } },
});

function projectVersion(object: unknown): readonly [key: string, version: string] {
  const metadata = asObject(asObject(object)['metadata']);
  const [namespace, name, uid, resourceVersion] = ['namespace', 'name', 'uid', 'resourceVersion'].map(
    (field) => asText(metadata[field]) ?? '',
  );
  return [`${namespace}/${name}`, `${uid} ${resourceVersion}`];
}

const log = createLog();
log.level = 'debug';
const connection = await createConnection({
  kubeconfigPath: values.kubeconfig,
  environment: {},
  userAgent: 'mirror',
});
const reflectors = MIRRORED.map(({ resource, path }) =>
  createReflector({
    connection,
    path,
    resource,
    project: projectVersion,
    onChange: () => undefined,
    log,
    clock: systemClock,
    random: Math.random,
  }),
);
createServer((_, answer) => {
  const isSynced = reflectors.every((reflector) => reflector.hasSynced());
  const lists = MIRRORED.map(({ resource }, index) => [
    resource,
    Object.fromEntries(reflectors[index]?.list() ?? []),
  ]);
  answer.writeHead(isSynced ? 200 : 503, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(Object.fromEntries(lists)));
}).listen(Number(values.port), '127.0.0.1');
await Promise.all(reflectors.map((reflector) => reflector.run(new AbortController().signal)));
