import { readFile } from 'node:fs/promises';

export interface AuditLine {
  readonly user: { readonly username: string };
  readonly verb: string;
  readonly objectRef?: { readonly apiGroup?: string; readonly resource: string; readonly name?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What a ServiceAccount has asked of the API server, as `namespace:name`. */
export async function readAuditLog(file: string, serviceAccount: string): Promise<readonly AuditLine[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return lines
    .map((line) => JSON.parse(line) as AuditLine)
    .filter(({ user }) => user.username === `system:serviceaccount:${serviceAccount}`);
}
