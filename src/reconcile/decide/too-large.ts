import type { Settings } from '../../settings/settings.ts';
import { createEvent } from '../events/create-event.ts';
import type { Decision } from './decision.ts';

/** Nothing is done for a workload that is too large to be known; `why` is a clause. */
export function decideTooLarge(why: string, mode: Settings['MODE']): Decision {
  if (mode === 'observe') {
    return { actions: [{ is: 'observe', would: [`leave it alone: ${why}`] }], events: [] };
  }
  const note = `Left alone, neither copied nor swapped, because ${why}. Its pods go on as they are.`;
  return { actions: [], events: [createEvent('TooLarge', note)] };
}
