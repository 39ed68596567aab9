import type { EditEffect } from '../../src/settings/settings-change.ts';
import type { SettingDescription } from '../../src/settings/settings.ts';

const INTRODUCTION = `<!-- Made by \`npm run reference\` from src/settings; do not edit. -->

# Settings

A setting is a key of the ConfigMap \`k8s-backup-image-registry-controller-configuration\`. An environment variable of the
same name is the default below it; an empty value counts as unset. Durations are written \`30s\`, \`10m\`, \`1h30m\`; lists
are comma-separated.

An edit takes effect within a second, without a restart, all of it or nothing. If one value is wrong, the whole edit is
refused with the event [\`ConfigInvalid\`](events.md), and the last good settings stay.

Every edit has the controller look at all workloads again, and try again what has failed or was refused. What it knows of
the copies it keeps wherever that stays true; below is which edits make it void. A copy that is forgotten stays in the
backup: it costs a request to the registry to know it again.
`;

/** The texts begin their links at the top of the repository. */
function relink(text: string): string {
  return text.replaceAll(/\]\((?!https?:)/g, '](../../');
}

/** As in a table of settings. */
export function formatFallback(fallback: string | undefined): string {
  if (fallback === undefined) {
    return 'required';
  }
  return fallback === '' ? 'none' : `\`${fallback}\``;
}

function formatSetting({ key, fallback, allowed, meaning }: SettingDescription, effect: EditEffect): string {
  return `## ${key}

${relink(meaning)}

- Default: ${formatFallback(fallback)}
- Allowed: ${allowed}
- What is known of copies after an edit: ${effect.copies}. ${effect.why}
`;
}

/** The page docs/reference/settings.md. */
export function formatSettingsPage(
  settings: readonly SettingDescription[],
  effects: Readonly<Record<SettingDescription['key'], EditEffect>>,
): string {
  return [INTRODUCTION, ...settings.map((one) => formatSetting(one, effects[one.key]))].join('\n');
}
