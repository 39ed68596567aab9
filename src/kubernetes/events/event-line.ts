/** Of one namespace; more that is new is not worth telling. */
const MOST_PER_NAMESPACE = 200;
const MOST_IN_ALL = 2_000;

/** Events that wait to be sent, of each namespace in turn: a storm in one of them does not keep the others from being told. */
export class EventLine<Event> {
  readonly #waiting = new Map<string, Event[]>();
  #size = 0;

  /** False when there are too many already: it will not be sent. */
  put(namespace: string, event: Event): boolean {
    const events = this.#waiting.get(namespace) ?? [];
    // When there are too many of all, a namespace may still have one.
    if (events.length >= MOST_PER_NAMESPACE || (this.#size >= MOST_IN_ALL && events.length > 0)) {
      return false;
    }
    events.push(event);
    this.#size += 1;
    this.#waiting.set(namespace, events);
    return true;
  }

  take(): Event | undefined {
    for (const [namespace, events] of this.#waiting) {
      const event = events.shift();
      this.#waiting.delete(namespace);
      if (events.length > 0) {
        this.#waiting.set(namespace, events);
      }
      if (event !== undefined) {
        this.#size -= 1;
        return event;
      }
    }
    return undefined;
  }
}
