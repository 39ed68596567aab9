import { asObject, asText } from './json.ts';

/** What the controller keeps of a ConfigMap. */
export interface ConfigMap {
  readonly kind: 'ConfigMap';
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Undefined for what cannot be a ConfigMap. */
export function projectConfigMap(raw: unknown): ConfigMap | undefined {
  const { metadata, data } = asObject(raw);
  const { namespace, name, uid, resourceVersion } = asObject(metadata);
  const texts = [namespace, name, uid, resourceVersion].map((value) => asText(value));
  if (!texts.every((text) => text !== undefined)) {
    return undefined;
  }
  const [namespaceText = '', nameText = '', uidText = '', versionText = ''] = texts;
  const entries = Object.entries(asObject(data)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return {
    kind: 'ConfigMap',
    namespace: namespaceText,
    name: nameText,
    uid: uidText,
    resourceVersion: versionText,
    data: Object.fromEntries(entries),
  };
}
