import type { PullSecret, PullSecretClient, PullSecretContent } from '../../reconcile/ports.ts';
import { FIELD_MANAGER } from '../../workloads/image-owner.ts';
import { annotationKey } from '../../workloads/annotations.ts';
import type { Connection } from '../connection/api-client.ts';
import { asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';
import { explainRefusal } from '../connection/refusal.ts';

/** A label, so that `kubectl get secrets -A -l` finds them all; the value is the namespace of the controller. */
const OWNER_LABEL = annotationKey('pull-secret-of');
const USED_BY = annotationKey('used-by');
const TYPE = 'kubernetes.io/dockerconfigjson';
const DATA_KEY = '.dockerconfigjson';
/** There are four kinds; somebody else may have written others. */
const LONGEST_USED_BY = 200;

function readUsedBy(annotations: unknown): readonly string[] {
  const kinds = cutText(asText(asObject(annotations)[USED_BY]) ?? '', LONGEST_USED_BY);
  return kinds.split(',').filter((kind) => kind !== '');
}

/** What the controller keeps of a raw Secret; undefined for what cannot be one. The content of others is not kept. */
export function projectPullSecret(raw: unknown, ownNamespace: string): PullSecret | undefined {
  const object = asObject(raw);
  const metadata = asObject(object['metadata']);
  const [namespace, name, uid, resourceVersion] = ['namespace', 'name', 'uid', 'resourceVersion'].map(
    (field) => asText(metadata[field]),
  );
  if (!namespace || !name || !uid || !resourceVersion) {
    return undefined;
  }
  const isOurs = asObject(metadata['labels'])[OWNER_LABEL] === ownNamespace;
  const isKept = (isOurs || namespace === ownNamespace) && object['type'] === TYPE;
  const config = isKept ? asText(asObject(object['data'])[DATA_KEY]) : undefined;
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    isOurs,
    ...(config !== undefined && { config }),
    usedBy: isOurs ? readUsedBy(metadata['annotations']) : [],
  };
}

function secretsPath({ namespace }: Pick<PullSecret, 'namespace'>): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
}

function secretPath(secret: Pick<PullSecret, 'namespace' | 'name'>): string {
  return `${secretsPath(secret)}/${encodeURIComponent(secret.name)}`;
}

function contentFields({ config, usedBy }: PullSecretContent): { annotations: object; data: object } {
  return { annotations: { [USED_BY]: usedBy.join(',') }, data: { [DATA_KEY]: config } };
}

/** Hands pull secrets out; `assertMayWrite` is asked before every write. */
export function createPullSecretClient(options: {
  readonly connection: Pick<Connection, 'request'>;
  /** Of the controller. */
  readonly ownNamespace: string;
  readonly assertMayWrite: () => void;
}): PullSecretClient {
  const { connection, ownNamespace, assertMayWrite } = options;
  const send = async (request: Parameters<Connection['request']>[0]): Promise<void> => {
    try {
      await connection.request({ ...request, guard: assertMayWrite });
    } catch (error) {
      throw explainRefusal(error);
    }
  };
  return {
    create({ namespace, name }, content, signal) {
      const { annotations, data } = contentFields(content);
      const labels = { [OWNER_LABEL]: ownNamespace };
      const metadata = { namespace, name, labels, annotations };
      return send({
        method: 'POST',
        path: secretsPath({ namespace }),
        query: { fieldManager: FIELD_MANAGER },
        body: { apiVersion: 'v1', kind: 'Secret', metadata, type: TYPE, data },
        signal,
      });
    },
    update(secret, content, signal) {
      const { uid, resourceVersion } = secret;
      const { annotations, data } = contentFields(content);
      return send({
        method: 'PATCH',
        path: secretPath(secret),
        query: { fieldManager: FIELD_MANAGER },
        body: { metadata: { uid, resourceVersion, annotations }, data },
        contentType: 'application/merge-patch+json',
        signal,
      });
    },
    remove(secret, signal) {
      const { uid, resourceVersion } = secret;
      return send({
        method: 'DELETE',
        path: secretPath(secret),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } },
        signal,
      });
    },
  };
}
