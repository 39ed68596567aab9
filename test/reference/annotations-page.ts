import type { AnnotationEntry } from '../../src/workloads/annotations.ts';
import { formatMarkdownTable } from './markdown-table.ts';

const INTRODUCTION = `<!-- Made by \`npm run reference\` from src/workloads/annotations.ts; do not edit. -->

# Annotations and labels

Those of workloads stand on the workload itself, never in its pod template: Kubernetes replaces no pod when one changes.
`;

const FOR_USERS = `## What you write

\`\`\`sh
kubectl annotate namespace shop backup-image-registry/policy=copy
kubectl annotate deployment web backup-image-registry/refresh="$(date)" --overwrite
\`\`\`

An emptied value counts as unset. Annotations of others that the controller recognizes are in
[README](../../README.md#what-it-does-to-a-workload).
`;

const FOR_NOBODY = `## What the controller writes

Leave these alone. If they are lost, the controller cannot put the originals back.
`;

type Entries = Readonly<Record<string, AnnotationEntry>>;

function formatTable(entries: Entries, writer: AnnotationEntry['writer']): string {
  const rows = Object.entries(entries)
    .filter(([, entry]) => entry.writer === writer)
    .map(([name, entry]) => [
      `\`backup-image-registry/${name}\``,
      entry.is,
      entry.on.join(', '),
      entry.values,
      entry.meaning,
    ]);
  return `${formatMarkdownTable(['name', 'is', 'on', 'value', 'meaning'], rows)}\n`;
}

/** The page docs/reference/annotations.md. */
export function formatAnnotationsPage(entries: Entries): string {
  return [
    INTRODUCTION,
    FOR_USERS,
    formatTable(entries, 'user'),
    FOR_NOBODY,
    formatTable(entries, 'controller'),
  ].join('\n');
}
