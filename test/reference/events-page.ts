import type { EventEntries } from '../../src/reconcile/events/event-entry.ts';
import { formatMarkdownTable } from './markdown-table.ts';

const INTRODUCTION = `<!-- Made by \`npm run reference\` from src/reconcile/events; do not edit. -->

# Events

What the controller tells about a workload is an event on that workload; what concerns the whole cluster is one on the
ConfigMap with its settings. The note of an event names the image, the error and the time; below is what is the same for
all events of a reason. To see them:

\`\`\`sh
kubectl describe deployment web
kubectl get events -A --field-selector reason=CopyFailed
kubectl get events -A --field-selector reportingComponent=backup-image-registry/controller
\`\`\`

A state that lasts is told once, and Kubernetes forgets events after an hour: no event does not mean that nothing is wrong.
`;

const COLUMNS = ['reason', 'type', 'about', 'what it means', 'what to do'];

/** The page docs/reference/events.md. */
export function formatEventsPage(events: EventEntries): string {
  const sorted = Object.entries(events).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const rows = sorted.map(([reason, { type, about, meaning, remedy }]) => [
    `\`${reason}\``,
    type,
    about,
    meaning,
    remedy,
  ]);
  return `${INTRODUCTION}\n${formatMarkdownTable(COLUMNS, rows)}\n`;
}
