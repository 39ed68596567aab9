import { MOST_PULL_SECRETS } from '../../workloads/size-limits.ts';
import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** A Secret cannot be called anything longer. */
const LONGEST = 253;

/** Names in `imagePullSecrets`. */
export function projectPullSecrets(podSpec: JsonObject): readonly string[] {
  return asArray(podSpec['imagePullSecrets'])
    .slice(0, MOST_PULL_SECRETS)
    .flatMap((item) => {
      const name = asText(asObject(item)['name']);
      return name === undefined ? [] : [cutText(name, LONGEST)];
    });
}
