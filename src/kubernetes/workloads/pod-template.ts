import type { WorkloadKind } from '../../workloads/kinds.ts';
import { type JsonObject, asObject, asText } from '../decode/json.ts';
import { cutText } from '../decode/own-text.ts';

/** What a label cannot be longer than; what names a template is the value of one. */
const LONGEST_LABEL = 63;

function cutLabel(value: unknown): string | undefined {
  const text = asText(value);
  return text === undefined ? undefined : cutText(text, LONGEST_LABEL);
}

/** The label that says of which template a pod was made, by the kind of the controller that has made it. */
const TEMPLATE_LABEL_BY_POD_OWNER: ReadonlyMap<string, string> = new Map([
  ['ReplicaSet', 'pod-template-hash'],
  ['StatefulSet', 'controller-revision-hash'],
  ['DaemonSet', 'controller-revision-hash'],
]);

/** Which template a pod was made of; undefined when nothing says so. */
export function projectPodTemplate(ownerKind: string | undefined, metadata: JsonObject): string | undefined {
  const label = TEMPLATE_LABEL_BY_POD_OWNER.get(ownerKind ?? '');
  return label === undefined ? undefined : cutLabel(asObject(metadata['labels'])[label]);
}

/** Which template of its DaemonSet a pod was made of, by number: the same template may have had another number before. */
export function projectTemplateGeneration(metadata: JsonObject): string | undefined {
  return cutLabel(asObject(metadata['labels'])['pod-template-generation']);
}

/** What the pods of a workload's newest template have as a label, where the workload says so: a Deployment does not. */
export function projectNewestTemplate(kind: WorkloadKind, object: JsonObject): string | undefined {
  const { annotations, generation } = asObject(object['metadata']);
  const { updateRevision, observedGeneration } = asObject(object['status']);
  if (kind === 'StatefulSet') {
    // A status that is older than the template names the revision before.
    return observedGeneration === generation ? cutLabel(updateRevision) : undefined;
  }
  return kind === 'DaemonSet'
    ? cutLabel(asObject(annotations)['deprecated.daemonset.template.generation'])
    : undefined;
}
