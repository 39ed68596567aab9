import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';

import { UsageError } from '../errors.ts';
import { readSmallFileSync } from '../small-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Those of systems have a quarter of a megabyte. */
const LONGEST_BUNDLE_BYTES = 4 * 1024 * 1024;
/** Those of systems have three hundred. */
const MOST_FILES = 2_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\w+/=\s]*-----END CERTIFICATE-----/g;

/**
 * Who may vouch for servers besides those whom Node trusts: SSL_CERT_FILE, a bundle, and SSL_CERT_DIR, folders with files of
 * them, as the copy engine reads both. Node looks at neither by itself.
 *
 * @returns undefined when neither is set.
 * @throws {UsageError} when there is nothing of the kind to be read where they lead to.
 */
export function readTrustedCertificates(environment: Environment): readonly string[] | undefined {
  const file = environment['SSL_CERT_FILE'];
  const folders = environment['SSL_CERT_DIR']?.split(':').filter((folder) => folder !== '') ?? [];
  if (!file && folders.length === 0) {
    return undefined;
  }
  return [
    ...getCACertificates('default'),
    ...(file ? readBundle(file) : []),
    ...(folders.length > 0 ? readFolders(folders) : []),
  ];
}

function readBundle(path: string): readonly string[] {
  let text: string;
  try {
    text = readSmallFileSync(path, LONGEST_BUNDLE_BYTES);
  } catch (error) {
    throw new UsageError(
      `SSL_CERT_FILE ${path} cannot be read (${toCode(error)}): mount the CA bundle there or unset it`,
    );
  }
  const certificates = listCertificates(text);
  if (certificates.length === 0) {
    throw new UsageError(
      `SSL_CERT_FILE ${path} has no certificate (PEM): mount the CA bundle there or unset it`,
    );
  }
  return certificates;
}

/** Of several folders some may be missing, and files in them may be something else. */
function readFolders(folders: readonly string[]): readonly string[] {
  const problems: string[] = [];
  const certificates = new Set<string>();
  for (const folder of folders) {
    try {
      const names = readdirSync(folder).slice(0, MOST_FILES);
      for (const certificate of names.flatMap((name) => listCertificatesOf(join(folder, name)))) {
        certificates.add(certificate);
      }
    } catch (error) {
      problems.push(`${folder} cannot be read (${toCode(error)})`);
    }
  }
  if (certificates.size === 0) {
    const why = problems.join(', ') || `${folders.join(', ')} has no file with a certificate (PEM)`;
    throw new UsageError(`SSL_CERT_DIR: ${why}: mount the CA certificates there or unset it`);
  }
  return [...certificates];
}

function listCertificatesOf(path: string): readonly string[] {
  try {
    return listCertificates(readSmallFileSync(path, LONGEST_BUNDLE_BYTES));
  } catch {
    return [];
  }
}

function listCertificates(text: string): readonly string[] {
  return text.match(CERTIFICATE) ?? [];
}

function toCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'error';
}
