import { z } from 'zod';

import { UsageError } from '../errors.ts';
import { type BackupPrefix, parsePrefix } from '../images/copy-name.ts';
import { parsePlatforms, type Platforms } from '../images/platforms.ts';
import { KIND_NAMES, type WorkloadKind } from '../workloads/kinds.ts';

/** What becomes of the text of a setting. Each says in its metadata which values are `allowed`. */
type SettingValue<T> = z.ZodType<T, string | undefined>;

/** What a value of the setting must be, in the words of the message that refuses another one. */
export function readAllowed(schema: z.ZodType): string {
  const allowed = schema.meta()?.['allowed'];
  if (typeof allowed !== 'string') {
    throw new TypeError('the setting does not say which values are allowed');
  }
  return allowed;
}

/** A setting that is refused as what it must be. `parse` returns undefined for a value that is not allowed. */
function value<T>(
  fallback: string,
  { allowed, parse }: { readonly allowed: string; readonly parse: (text: string) => T | undefined },
): SettingValue<T> {
  return z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const parsed = parse(text);
      if (parsed === undefined) {
        context.addIssue(`must be ${allowed}`);
        return z.NEVER;
      }
      return parsed;
    })
    .meta({ allowed });
}

function formatChoices(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1) ?? ''}`;
}

/** One word of a closed set. */
export function choice<const T extends string>(choices: readonly T[], fallback: NoInfer<T>): SettingValue<T> {
  return value<T>(fallback, {
    allowed: formatChoices(choices),
    parse: (text) => choices.find((word) => word === text),
  });
}

/** In whatever case. */
export function trueOrFalse(fallback: 'true' | 'false'): SettingValue<boolean> {
  return value(fallback, {
    allowed: 'true or false',
    parse(text) {
      const word = text.toLowerCase();
      return word === 'true' || word === 'false' ? word === 'true' : undefined;
    },
  });
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Go's notation, as the users of the original know it: `90s`, `1h30m`, `1.5h`. To the millisecond. */
function parseDurationMs(text: string): number | undefined {
  if (!/^(?:(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})(?:ms|s|m|h))+$/.test(text)) {
    return undefined;
  }
  const parts = text.matchAll(/([\d.]+)(ms|s|m|h)/g);
  return Math.round(
    [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0),
  );
}

export function durationMs(fallback: string): SettingValue<number> {
  return value(fallback, {
    allowed: 'a duration between 1s and 168h, such as 30s, 1h30m or 1.5h',
    parse(text) {
      const ms = parseDurationMs(text);
      return ms === undefined || ms < 1000 || ms > 7 * 24 * 3_600_000 ? undefined : ms;
    },
  });
}

export function wholeNumber(
  fallback: string,
  { min, max }: { min: number; max: number },
): SettingValue<number> {
  return value(fallback, {
    allowed: `a whole number from ${min} to ${max}`,
    parse(text) {
      const number = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
      return number >= min && number <= max ? number : undefined;
    },
  });
}

export function list(
  fallback: string,
  { pattern, what }: { pattern: RegExp; what: string },
): SettingValue<readonly string[]> {
  return value(fallback, {
    allowed: `a comma-separated list of ${what}`,
    parse(text) {
      const entries = text.split(',').flatMap((part) => part.trim() || []);
      return entries.every((item) => pattern.test(item)) ? entries : undefined;
    },
  });
}

/** Each kind once, in the order of `KIND_NAMES`. */
export function workloadKinds(fallback: string): SettingValue<readonly WorkloadKind[]> {
  const names = list(fallback, {
    pattern: new RegExp(`^(?:${KIND_NAMES.join('|')})$`),
    what: `kinds, of which there are ${KIND_NAMES.join(', ')}`,
  });
  return names
    .transform((chosen) => KIND_NAMES.filter((kind) => chosen.includes(kind)))
    .meta({ allowed: readAllowed(names) });
}

export function platforms(fallback: string): SettingValue<Platforms> {
  return value(fallback, {
    allowed: 'all, or a comma-separated list of Linux platforms, such as linux/amd64 or linux/arm/v7',
    parse: parsePlatforms,
  });
}

/** Empty for none. */
export function secretName(fallback: string): SettingValue<string> {
  return value(fallback, {
    allowed: 'the name of a Secret',
    parse: (text) => (/^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)?$/.test(text) ? text : undefined),
  });
}

const PREFIX = 'the registry, with a path if it has one, that keeps the copies';

/** Undefined, with an issue, for one that cannot be used. */
function readPrefix(
  text: string,
  context: { readonly addIssue: (message: string) => void },
): BackupPrefix | undefined {
  try {
    return parsePrefix(text);
  } catch (error) {
    if (error instanceof UsageError) {
      context.addIssue(error.message.replace(/^REGISTRY_PREFIX /, ''));
      return undefined;
    }
    throw error;
  }
}

export function backupPrefixes(fallback: string): SettingValue<readonly BackupPrefix[]> {
  return z
    .string()
    .default(fallback)
    .transform((text, context) =>
      text.split(',').flatMap((part) => (part.trim() ? (readPrefix(part, context) ?? []) : [])),
    )
    .meta({ allowed: 'a comma-separated list of what REGISTRY_PREFIX may be' });
}

export const backupPrefix = z
  .string({ error: `is required: ${PREFIX}` })
  .transform((text, context) => {
    if (/[<>]/.test(text)) {
      context.addIssue(`is still the example: put in ${PREFIX}`);
      return z.NEVER;
    }
    return readPrefix(text, context) ?? z.NEVER;
  })
  .meta({
    allowed:
      'a registry, with a path if it has one, of at most 128 characters, without a scheme, tag or digest; at Docker Hub ' +
      'with exactly one name behind the host',
  });
