import { type JsonObject, asArray, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** Of what the API server accepts as kind and name of an owner, of any length, it is enough to recognize one. */
const LONGEST = 253;

/** The owner that controls an object; without fields when there is none. */
export function findController(references: unknown): JsonObject {
  return asObject(asArray(references).find((reference) => asObject(reference)['controller'] === true));
}

/** As `Kind/name`. */
export function projectOwner(references: unknown): string | undefined {
  const controller = findController(references);
  const kind = asText(controller['kind']);
  const name = asText(controller['name']) ?? '';
  return kind === undefined ? undefined : `${cutText(kind, LONGEST)}/${cutText(name, LONGEST)}`;
}
