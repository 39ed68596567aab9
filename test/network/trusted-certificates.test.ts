import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';

import { beforeEach, expect, it } from 'vitest';

import { UsageError } from '../../src/errors.ts';
import { readTrustedCertificates } from '../../src/network/trusted-certificates.ts';
import { LOCALHOST_CERTIFICATE } from '../registry/localhost-certificate.ts';
import { createTemporaryFolder } from '../registry/temporary-folder.ts';

const OWN = LOCALHOST_CERTIFICATE.trim();
let folder: string;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});

function listAdded(environment: Readonly<Record<string, string>>): readonly string[] | undefined {
  const usual = new Set(getCACertificates('default'));
  return readTrustedCertificates(environment)?.filter((certificate) => !usual.has(certificate));
}

it('leaves it to Node when nothing is set', () => {
  expect(readTrustedCertificates({ SSL_CERT_FILE: '', SSL_CERT_DIR: '' })).toBeUndefined();
});

it('adds those of a bundle to the usual ones', async () => {
  const path = join(folder, 'ca.pem');
  await writeFile(path, `# of the company\n${OWN}\n\n${OWN}\n`);
  expect(listAdded({ SSL_CERT_FILE: path })).toEqual([OWN, OWN]);
  expect(readTrustedCertificates({ SSL_CERT_FILE: path })?.length).toBeGreaterThan(100);
});

it('adds those of all files in several folders, each once, whatever else is there', async () => {
  await writeFile(join(folder, 'a.pem'), OWN);
  await writeFile(join(folder, 'b.crt'), OWN);
  await writeFile(join(folder, 'README'), 'none');
  await mkdir(join(folder, 'more'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  expect(listAdded({ SSL_CERT_DIR: `${join(folder, 'missing')}:${folder}` })).toEqual([OWN]);
});

it.each([
  ['SSL_CERT_FILE', 'missing', /^SSL_CERT_FILE \S+ cannot be read \(ENOENT\)/],
  ['SSL_CERT_FILE', 'none', /^SSL_CERT_FILE \S+ has no certificate \(PEM\)/],
  ['SSL_CERT_DIR', 'missing', /^SSL_CERT_DIR: \S+ cannot be read \(ENOENT\)/],
  ['SSL_CERT_DIR', '.', /^SSL_CERT_DIR: \S+ has no file with a certificate/],
])('refuses %s=%s', async (name, path, message) => {
  await writeFile(join(folder, 'none'), 'none');
  const read = (): unknown => readTrustedCertificates({ [name]: join(folder, path) });
  expect(read).toThrow(UsageError);
  expect(read).toThrow(message);
});
