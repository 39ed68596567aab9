/** What a command says with its exit code: done, failed, or not begun. */
interface ExitCodes {
  readonly 0: string;
  readonly 1: string;
  readonly 2: string;
}

const NOT_ASKED = 'the API server cannot be asked, or refuses';
const WRONG = 'a flag, setting or file is wrong; one sentence says which';

const EXIT_CODES = {
  run: {
    0: 'stopped by SIGTERM or SIGINT',
    1: 'failed, or lost the Lease',
    2: `${WRONG}; or regctl is missing or too old`,
  },
  plan: { 0: 'printed', 1: NOT_ASKED, 2: WRONG },
  restore: {
    0: 'everything is back and rolled out, nothing was to be put back, or it was a dry run',
    1: `not everything is back and rolled out; the answer was no; or ${NOT_ASKED}`,
    2: `${WRONG}; there is nobody to ask; or a controller is running that would swap again`,
  },
  map: {
    0: 'printed',
    1: NOT_ASKED,
    2: `${WRONG}; or all copies have flat names, which no mirror configuration leads to`,
  },
} as const satisfies Readonly<Record<string, ExitCodes>>;

/** A command without an entry here is none. */
export type CommandName = keyof typeof EXIT_CODES;

/** For the end of the help of a command. */
export function formatExitCodes(name: CommandName): string {
  const lines = Object.entries(EXIT_CODES[name]).map(([code, meaning]) => `  ${code}  ${meaning}`);
  return ['', 'Exit codes:', ...lines].join('\n');
}
