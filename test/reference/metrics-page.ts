import type { MetricObjectWithValues, MetricValue } from 'prom-client';

import { formatMarkdownTable } from './markdown-table.ts';

const INTRODUCTION = `<!-- Made by \`npm run reference\` from src/telemetry; do not edit. -->

# Metrics

Served at \`/metrics\`, on port 8080 unless \`--metrics-bind-address\` says otherwise. Labels have values from closed sets,
never the name of an image, a namespace or a workload, and every combination exists from the start; only a \`host\` is added
when it tells something for the first time. Beside these are those that every Node process has: \`process_…\` and
\`nodejs_…\`.
`;

/** What a label says whose values nobody can list. */
const OPEN_LABELS: Readonly<Record<string, string>> = {
  host: 'a registry that tells',
  version: 'the version that runs',
};

/** Of Prometheus, not ours: the upper bound of a bucket. */
const BUCKET_LABEL = 'le';

export type MetricValues = Pick<MetricObjectWithValues<MetricValue<string>>, 'name' | 'help' | 'values'> & {
  /** Of the types of the library a number; a word in fact. */
  readonly type: unknown;
};

function formatLabel(label: string, values: readonly unknown[]): string {
  const closed = [...new Set(values)].map((value) => `\`${String(value)}\``).join(', ');
  return `\`${label}\`: ${OPEN_LABELS[label] ?? closed}`;
}

/** Read from what a registry holds at the start, when every combination is there. */
function formatLabels({ values }: MetricValues): string {
  const pairs = values.flatMap(({ labels }) => Object.entries(labels));
  const names = [...new Set(pairs.map(([label]) => label))].filter((label) => label !== BUCKET_LABEL);
  return names
    .map((name) =>
      formatLabel(
        name,
        pairs.filter(([label]) => label === name).map(([, value]) => value),
      ),
    )
    .join('; ');
}

/** The page docs/reference/metrics.md, from all metrics that begin with the prefix of this project. */
export function formatMetricsPage(metrics: readonly MetricValues[]): string {
  const rows = metrics
    .filter(({ name }) => name.startsWith('backup_image_registry_'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((metric) => [`\`${metric.name}\``, String(metric.type), formatLabels(metric), metric.help]);
  return `${INTRODUCTION}\n${formatMarkdownTable(['name', 'type', 'labels', 'meaning'], rows)}\n`;
}
