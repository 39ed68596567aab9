/** Accounts of a registry besides its first one: for nodes, whose password changes. */
import { rename, writeFile } from 'node:fs/promises';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface Account extends Credentials {
  /** bcrypt of the password; a registry with a password file accepts nothing else. */
  readonly hash: string;
}

/** The same reader before and after a change of its password. */
export const READERS = {
  before: {
    user: 'reader',
    password: 'first-password',
    hash: '$2a$04$DKW/HDFizedYNk7r1Xk37.CxSfu/YsCCXDGVoyeoGvnDPKh9/4GFa',
  },
  after: {
    user: 'reader',
    password: 'second-password',
    hash: '$2a$04$2Z9grMVac9wFQJv5s5uXSOAq0OvwU/kYrTfhr2PBojm6i9l6q8pYW',
  },
} as const satisfies Record<string, Account>;

/** All accounts of a registry. It looks at the file with every request, and never sees half of one. */
export async function writeAccounts(file: string, accounts: readonly Account[]): Promise<void> {
  const lines = accounts.map(({ user, hash }) => `${user}:${hash}\n`);
  await writeFile(`${file}.new`, lines.join(''));
  await rename(`${file}.new`, file);
}
