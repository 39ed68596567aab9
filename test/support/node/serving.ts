/** Workloads whose containers are asked over HTTP before they count as ready, and what they answer. */
import type { Container, Pod, Workload } from '../objects.ts';

const DEFAULT_PORT = 8080;

export interface Answer {
  /** What the image is called: see `contentOf()`. */
  readonly content: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The same of the image that is mounted at /volume; empty without one. */
  readonly volume: string;
}

/** The workload with a readiness probe for its first container; the test kubelet does not look at it. */
export function withProbe(workload: Workload): Workload {
  const { template } = workload.spec;
  const probe = { httpGet: { path: '/', port: DEFAULT_PORT }, periodSeconds: 1, timeoutSeconds: 10 };
  const containers = template.spec.containers.map((container, index): Container =>
    index === 0 ? { ...container, readinessProbe: probe } : container,
  );
  return {
    ...workload,
    spec: { ...workload.spec, template: { ...template, spec: { ...template.spec, containers } } },
  };
}

/** Asks a pod from outside the node. */
export async function askPod({ status }: Pod, port = DEFAULT_PORT): Promise<Answer> {
  const answer = await fetch(`http://${status?.podIP}:${port}/`);
  return (await answer.json()) as Answer;
}
