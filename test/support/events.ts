import type { Kube } from './kube.ts';
import type { AnyObject, KubeObject } from './objects.ts';
import { waitFor } from './wait-for.ts';

export type Event = AnyObject & { readonly type: string; readonly reason: string; readonly note: string };

/** What the controller has said about an object. */
export async function listEvents(kube: Kube, { metadata }: KubeObject): Promise<readonly Event[]> {
  const events = await kube.list<Event>({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    namespace: metadata.namespace ?? '',
    fieldSelector: `regarding.uid=${metadata.uid}`,
  });
  return events.filter((event) => event['reportingController'] === 'backup-image-registry/controller');
}

/** Returns what it says. */
export async function waitForEvent(kube: Kube, object: KubeObject, reason: string): Promise<string> {
  const event = await waitFor(
    async () => (await listEvents(kube, object)).find((one) => one.reason === reason),
    // An undo waits for 45 s by design.
    { what: `the event ${reason} on ${object.metadata.name}`, deadlineMs: 100_000 },
  );
  return event.note;
}
