import { type Logger, destination, pino, stdSerializers } from 'pino';

import { ControllerError } from '../errors.ts';

/** A failure raised on purpose needs no stack: its message says it all. A bug does. */
function serializeError(error: unknown): unknown {
  if (error instanceof ControllerError) {
    return { type: error.name, reason: error.reason, message: error.message };
  }
  return error instanceof Error ? stdSerializers.err(error) : error;
}

const STDOUT = 1;

/** JSON lines on standard output, with the time in ISO 8601 and the level as a word. */
export function createLog(): Logger {
  return pino(
    {
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    // Written by the threads that also resolve names, a line would wait for those, and be overtaken or lost at the end.
    destination({ dest: STDOUT, sync: true }),
  );
}
