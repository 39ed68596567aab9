import { Counter, Histogram, Registry } from 'prom-client';
import { expect, it } from 'vitest';

import { formatMetricsPage } from './metrics-page.ts';

it('has the values of the labels that the registry holds, and no other metrics', async () => {
  const registers = [new Registry()] as const;
  const common = { help: 'Told.', registers: [...registers] };
  const ours = 'backup_image_registry_';
  const looks = new Counter({ ...common, name: `${ours}looks_total`, labelNames: ['result', 'host'] });
  looks.inc({ result: 'seen', host: 'ghcr.io' }, 0);
  looks.inc({ result: 'missed', host: 'ghcr.io' }, 0);
  new Histogram({ ...common, name: `${ours}look_seconds`, buckets: [1] }).zero({});
  new Counter({ ...common, name: 'nodejs_looks_total' }).inc();

  const page = formatMetricsPage(await registers[0].getMetricsAsJSON());
  expect(page.split('\n').slice(-3)).toEqual([
    '| `backup_image_registry_look_seconds` | histogram |  | Told. |',
    '| `backup_image_registry_looks_total` | counter | `result`: `seen`, `missed`; `host`: a registry that tells | Told. |',
    '',
  ]);
});
