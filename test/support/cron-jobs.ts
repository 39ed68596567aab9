import { referenceTo, type Kube } from './kube.ts';
import type { KubeObject, Pod } from './objects.ts';
import { waitFor } from './wait-for.ts';
import type { CronJob } from './workload-builders.ts';

/** Of the template. */
export function imagesOfRuns({ spec }: CronJob): readonly string[] {
  return spec.jobTemplate.spec.template.spec.containers.map(({ image }) => image);
}

export async function readCronJob(kube: Kube, cronJob: CronJob): Promise<CronJob> {
  const now = await kube.get<CronJob>(referenceTo(cronJob));
  if (!now) {
    throw new Error(`${cronJob.metadata.name} is gone`);
  }
  return now;
}

/** So long ago that a run at New Year was missed since; of several, the controller manager makes up for the last. */
const LAST_RUN_AGO_MS = 400 * 24 * 60 * 60 * 1_000;

/** Makes the controller manager believe that it has missed a run, which it makes up for at once. Returns the Job. */
export async function startRun(kube: Kube, cronJob: CronJob): Promise<KubeObject> {
  const lastScheduleTime = new Date(Date.now() - LAST_RUN_AGO_MS).toISOString().replace(/\.\d+Z/, 'Z');
  await kube.patch(referenceTo(cronJob), { status: { lastScheduleTime } }, { subresource: 'status' });
  return waitFor(
    async () => {
      const query = { apiVersion: 'batch/v1', kind: 'Job', namespace: cronJob.metadata.namespace ?? '' };
      const jobs = await kube.list(query);
      return jobs.findLast(({ metadata }) =>
        metadata.ownerReferences?.some(({ uid }) => uid === cronJob.metadata.uid),
      );
    },
    { what: `a run of ${cronJob.metadata.name}` },
  );
}

/** Returns the pods of a Job that has succeeded. */
export async function waitForRun(kube: Kube, job: KubeObject): Promise<readonly Pod[]> {
  return waitFor(
    async () => {
      const { namespace = '', name } = job.metadata;
      const query = { apiVersion: 'v1', kind: 'Pod', namespace, labelSelector: `job-name=${name}` };
      const pods = await kube.list<Pod>(query);
      return pods.some(({ status }) => status?.phase === 'Succeeded') ? pods : undefined;
    },
    { what: `${job.metadata.name} to succeed` },
  );
}
