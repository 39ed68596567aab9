import { parseReference } from '../../src/images/reference.ts';
import { dropTag } from './admission-model.ts';
import type { ModelWorkload } from './cluster-model.ts';
import { isCopyText } from './patch-promises.ts';
import { HOSTS, type RegistryModel } from './registry-model.ts';

/**
 * Whether what the pods of a workload show of a container agrees with its template: they run what its source means, or all
 * the same image of it.
 */
export function showsSource(
  registries: RegistryModel,
  { images, written, pods }: ModelWorkload,
  container: string,
): boolean {
  const meaning = registries.find(parseReference(written[container] ?? ''));
  const image = images[container] ?? '';
  const isRewritten = pods.some(
    (pod) => dropTag(pod.wanted[container] ?? '') !== dropTag(pod.images[container] ?? ''),
  );
  if (isRewritten || isCopyText(image) || meaning === undefined) {
    return !isRewritten;
  }
  const shown = pods.flatMap(({ states, node, images: { [container]: text } }) => {
    const state = states[container];
    return !state || state.is === 'not pulled' ? [] : [{ ...state, node, text }];
  });
  const means = ({ content, node, text }: (typeof shown)[number]): boolean =>
    text === image && content === registries.findContent(meaning, node.platform);
  const isOne = new Set(shown.map(({ imageId }) => imageId)).size <= 1;
  const isOfSource = shown.every(
    ({ imageId, text }) =>
      text === image &&
      imageId.startsWith(`${HOSTS.source}/`) &&
      registries.isIndex(imageId.slice(imageId.indexOf('@') + 1)),
  );
  return shown.every(means) || (isOne && isOfSource);
}
