import { expect, it } from 'vitest';

import { createMetrics } from '../../src/telemetry/metrics.ts';

async function readOwn(): Promise<readonly string[]> {
  const copy = { layers: 5, layersDone: 2, bytesBegun: 900, bytesDone: 300 };
  const metrics = createMetrics('1.2.3');
  metrics.observe(() => ({
    hasLease: true,
    areSettingsApplied: true,
    images: { pending: 2, verified: 1, failed: 0, unexplained: 0 },
    copiesInFlight: [copy, copy],
    allowances: [{ host: 'registry-1.docker.io', remaining: 76 }],
    rollouts: 3,
    recorded: 4,
    isSwappingStopped: true,
    stoppedNamespaces: 2,
  }));
  metrics.forQueue('copies');
  const text = await metrics.registry.metrics();
  return text.split('\n').filter((line) => line.startsWith('backup_image_registry_'));
}

it('has every combination of labels from the start, so that a rate is known before the first failure', async () => {
  expect(await readOwn()).toEqual(
    expect.arrayContaining([
      'backup_image_registry_build_info{version="1.2.3"} 1',
      'backup_image_registry_copies_total{result="failed"} 0',
      'backup_image_registry_copy_bytes_total 0',
      'backup_image_registry_copy_mounted_bytes_total 0',
      'backup_image_registry_copy_mounted_layers_total 0',
      'backup_image_registry_swaps_total{kind="DaemonSet",result="denied"} 0',
      'backup_image_registry_swaps_total{kind="Deployment",result="rescued"} 0',
      'backup_image_registry_config_reloads_total{result="refused"} 0',
      'backup_image_registry_reconciles_total{name="copies",result="bug"} 0',
      'backup_image_registry_workqueue_depth{name="copies"} 0',
      'backup_image_registry_workqueue_work_duration_seconds_count{name="copies"} 0',
    ]),
  );
});

it('counts the state of things when it is asked', async () => {
  expect(await readOwn()).toEqual(
    expect.arrayContaining([
      'backup_image_registry_images{state="pending"} 2',
      'backup_image_registry_rollouts_in_flight 3',
      'backup_image_registry_copies_in_flight 2',
      'backup_image_registry_copies_in_flight_layers{state="done"} 4',
      'backup_image_registry_copies_in_flight_bytes{state="begun"} 1800',
      'backup_image_registry_source_ratelimit_remaining{host="registry-1.docker.io"} 76',
      'backup_image_registry_workloads_recorded 4',
      'backup_image_registry_swapping_stopped 1',
      'backup_image_registry_stopped_namespaces 2',
      'backup_image_registry_leader 1',
      'backup_image_registry_config_last_reload_successful 1',
    ]),
  );
});
