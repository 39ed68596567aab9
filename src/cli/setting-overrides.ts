import { UsageError } from '../errors.ts';
import { quote } from '../images/reference.ts';

/**
 * Reads `KEY=VALUE` as often as it is given. Which keys there are, the settings know.
 *
 * @throws {UsageError}
 */
export function parseOverrides(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, key, value] = /^([A-Z_]{1,80})=(.*)$/s.exec(text) ?? [];
      if (key === undefined || value === undefined) {
        throw new UsageError(`--set ${quote(text)} sets nothing: write KEY=VALUE, such as MODE=copy`);
      }
      return [key, value];
    }),
  );
}
