import type { Command } from 'commander';

import { createProgram } from '../../src/cli/program.ts';
import { createTerminal } from '../../src/cli/terminal.ts';
import { EVENTS } from '../../src/reconcile/events/catalogue.ts';
import { EDIT_EFFECTS } from '../../src/settings/settings-change.ts';
import { describeSettings } from '../../src/settings/settings.ts';
import { createMetrics, QUEUE_NAMES } from '../../src/telemetry/metrics.ts';
import { EMPTY_SNAPSHOT } from '../../src/telemetry/snapshot.ts';
import { ANNOTATIONS } from '../../src/workloads/annotations.ts';
import { formatAnnotationsPage } from './annotations-page.ts';
import { formatCommandsPage } from './commands-page.ts';
import { formatEventsPage } from './events-page.ts';
import { formatMetricsPage, type MetricValues } from './metrics-page.ts';
import { PERMISSION_REASONS } from './permission-reasons.ts';
import { formatPermissionsPage } from './permissions-page.ts';
import { readRoles } from './roles.ts';
import { formatSettingsPage } from './settings-page.ts';

/** The commands as they are typed, none of which is run. */
function createIdleProgram(): Command {
  return createProgram({
    environment: {},
    version: '0.0.0',
    terminal: createTerminal(process),
    createStopSignal: () => new AbortController().signal,
    onDone: () => undefined,
  });
}

/** Of a process that has just started, and that one source has told what it allows. */
async function readMetrics(): Promise<readonly MetricValues[]> {
  const metrics = createMetrics('0.0.0');
  metrics.observe(() => ({
    ...EMPTY_SNAPSHOT,
    allowances: [{ host: 'registry-1.docker.io', remaining: 100 }],
  }));
  for (const name of QUEUE_NAMES) {
    metrics.forQueue(name);
  }
  return metrics.registry.getMetricsAsJSON();
}

/** The pages of docs/reference by file name, each made from the source that it describes. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'annotations.md': () => formatAnnotationsPage(ANNOTATIONS),
  'commands.md': () => formatCommandsPage(createIdleProgram()),
  'events.md': () => formatEventsPage(EVENTS),
  'metrics.md': async () => formatMetricsPage(await readMetrics()),
  'permissions.md': () => formatPermissionsPage(readRoles(), PERMISSION_REASONS),
  'settings.md': () => formatSettingsPage(describeSettings(), EDIT_EFFECTS),
};
