import { asArray, asObject, asText } from '../decode/json.ts';

/** As a query; no server takes much more, and no selector of real pods comes near it. */
const LONGEST = 4_096;

function formatExpression(expression: unknown): string | undefined {
  const { key, operator, values } = asObject(expression);
  const name = asText(key);
  const list = asArray(values)
    .filter((value) => typeof value === 'string')
    .join(',');
  if (name === undefined) {
    return undefined;
  }
  switch (operator) {
    case 'In':
      return `${name} in (${list})`;
    case 'NotIn':
      return `${name} notin (${list})`;
    case 'Exists':
      return name;
    case 'DoesNotExist':
      return `!${name}`;
    default:
      return undefined;
  }
}

/**
 * A `metav1.LabelSelector` as the text of a query. Empty when there is nothing to select by, or when it
 * cannot be said in full: half a selector would match pods of others.
 */
export function formatPodSelector(selector: unknown): string {
  const { matchLabels, matchExpressions } = asObject(selector);
  const labels = Object.entries(asObject(matchLabels)).map(([name, value]) =>
    typeof value === 'string' ? `${name}=${value}` : undefined,
  );
  const requirements = [...labels, ...asArray(matchExpressions).map(formatExpression)];
  const text = requirements.includes(undefined) ? '' : requirements.join(',');
  return text.length > LONGEST ? '' : text;
}
