/** The credential helpers of clouds, as the image for clouds ships them, with the workload identity of each. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { parseReference } from '../../src/images/reference.ts';
import {
  createCredentialFinder,
  type FoundCredential,
} from '../../src/registry/credentials/credential-finder.ts';
import { AZURE_CERTIFICATE, type Cloud, startCloud } from '../support/cloud.ts';
import { connectToCluster } from '../support/test-cluster.ts';

const { tools, processes } = connectToCluster();

let cloud: Cloud;
let folder: string;
beforeEach(async () => {
  cloud = await startCloud();
  folder = await processes.createFolder('cloud');
  await writeFile(join(folder, 'identity'), 'identity-of-the-pod');
  await writeFile(join(folder, 'ca.pem'), AZURE_CERTIFICATE);
});

afterEach(() => cloud.close());

/** As the pod has it: nothing but the root file system that it may not write to. */
async function find(
  host: string,
  helper: string,
  environment: Readonly<Record<string, string>>,
): Promise<FoundCredential> {
  await writeFile(join(folder, 'config.json'), JSON.stringify({ credHelpers: { [host]: helper } }));
  const finder = createCredentialFinder({
    folder,
    environment: { PATH: dirname(tools['docker-credential-gcr']), HOME: '/proc', ...environment },
    clock: systemClock,
  });
  return finder(parseReference(`${host}/app:1`), 'backup', new AbortController().signal);
}

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';

it('logs in to Amazon ECR with the role of the ServiceAccount', async () => {
  const found = await find(ECR, 'ecr-login', {
    AWS_REGION: 'eu-west-1',
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/backup',
    AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'identity'),
    AWS_ENDPOINT_URL_STS: cloud.url,
    AWS_ENDPOINT_URL_ECR: cloud.url,
  });
  expect(found).toEqual({ credential: { kind: 'password', username: 'AWS', password: 'ecr-password' } });
  expect(cloud.asked[0]).toContain('WebIdentityToken=identity-of-the-pod');
});

it('says that ECR gave no credentials, which the helper takes for none being there', async () => {
  const found = await find(ECR, 'ecr-login', { AWS_REGION: 'eu-west-1', AWS_EC2_METADATA_DISABLED: 'true' });
  expect(found).toEqual({
    credential: undefined,
    problem: `credential helper docker-credential-ecr-login says that it has no credentials for ${ECR}`,
  });
});

it('logs in to Artifact Registry with the service account of the pod', async () => {
  const metadata = { GCE_METADATA_HOST: cloud.url.replace('http://', '') };
  expect(await find('europe-docker.pkg.dev', 'gcr', metadata)).toEqual({
    credential: { kind: 'password', username: expect.stringMatching(/token$/), password: 'google-token' },
  });
});

it('logs in to Azure Container Registry with the federated identity of the pod', async () => {
  const found = await find('backup.azurecr.io', 'acr-env', {
    AZURE_CLIENT_ID: 'client',
    AZURE_TENANT_ID: 'tenant',
    AZURE_FEDERATED_TOKEN_FILE: join(folder, 'identity'),
    HTTPS_PROXY: cloud.proxyUrl,
    SSL_CERT_FILE: join(folder, 'ca.pem'),
  });
  expect(found).toEqual({ credential: { kind: 'identityToken', token: 'acr-token' } });
  expect(cloud.asked.map((line) => line.split(' ')[1])).toEqual(['/tenant/oauth2/token', '/oauth2/exchange']);
  expect(cloud.asked[0]).toContain('client_assertion=identity-of-the-pod');
});
