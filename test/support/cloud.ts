/**
 * Stand-ins of what three clouds answer to credential helpers, on loopback: Amazon's STS and ECR, Google's metadata server, and
 * for Azure the login and the registry, behind a proxy that leads their names here.
 *
 * What they do not prove: that a cloud answers in this way today, or that a role permits what it has to.
 */
import http from 'node:http';
import https from 'node:https';
import { connect, type AddressInfo, type Server } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** Self-signed, for the two hosts of Azure below, until 2126. Protects nothing: it is for tests. */
export const AZURE_CERTIFICATE = `
-----BEGIN CERTIFICATE-----
MIIByzCCAXCgAwIBAgIUDRygG+uFM8FcilAIr/CC0Eb0/84wCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRYmFja3VwLmF6dXJlY3IuaW8wIBcNMjYxMTMwMTU1MDAwWhgP
MjEyNjExMDYxNTUwMDBaMBwxGjAYBgNVBAMMEWJhY2t1cC5henVyZWNyLmlvMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEclsyKM6Wr2/iyWtTQ/T22AgC35BpTWTv
fXUtp0uwy3Y/UbGFjR7awDsfIeOAQZ3F9g+o/nnowqFAUZQPfBoVKKOBjTCBijAd
BgNVHQ4EFgQUWQoPGOX6/iiKeFBvHroxVfog15MwHwYDVR0jBBgwFoAUWQoPGOX6
/iiKeFBvHroxVfog15MwDwYDVR0TAQH/BAUwAwEB/zA3BgNVHREEMDAughFiYWNr
dXAuYXp1cmVjci5pb4IZbG9naW4ubWljcm9zb2Z0b25saW5lLmNvbTAKBggqhkjO
PQQDAgNJADBGAiEAmeFEEvBr1KvoRLXb5+Z8xAkQHZ2/2Ymv3GdWj4PbEDUCIQDf
xlwaoMQqQVlvpwrLIrsGXjwvOpjsc0MEdYWGE2QOjg==
-----END CERTIFICATE-----
`;
const AZURE_KEY = `
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcQCrmoexZX0/0VqV
+w21K4PlYTxQwC1TwSzQdpjq/xehRANCAARyWzIozpavb+LJa1ND9PbYCALfkGlN
ZO99dS2nS7DLdj9RsYWNHtrAOx8h44BBncX2D6j+eejCoUBRlA98GhUo
-----END PRIVATE KEY-----
`;

export interface Cloud {
  /** `http://127.0.0.1:<port>` of STS, ECR and the metadata server. */
  readonly url: string;
  /** Leads every name to the stand-in of Azure. */
  readonly proxyUrl: string;
  /** `POST /path`, with what matters of the body; oldest first. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

type Answer = readonly [contentType: string, body: string];

const ECR_ENDPOINT = 'https://123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const EXPIRY = '2126-01-01T00:00:00Z';

function answerAmazon(target: string, body: string): Answer | undefined {
  if (body.includes('Action=AssumeRoleWithWebIdentity')) {
    const credentials = `<AccessKeyId>AKID</AccessKeyId><SecretAccessKey>key</SecretAccessKey><SessionToken>session</SessionToken><Expiration>${EXPIRY}</Expiration>`;
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${credentials}</Credentials></AssumeRoleWithWebIdentityResult>`;
    return [
      'text/xml',
      `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleWithWebIdentityResponse>`,
    ];
  }
  if (!target.endsWith('.GetAuthorizationToken')) {
    return undefined;
  }
  const authorizationToken = Buffer.from('AWS:ecr-password').toString('base64');
  const expiresAt = Date.parse(EXPIRY) / 1_000;
  return [
    'application/x-amz-json-1.1',
    JSON.stringify({ authorizationData: [{ authorizationToken, expiresAt, proxyEndpoint: ECR_ENDPOINT }] }),
  ];
}

function answerOthers(path: string): Answer {
  if (path.startsWith('/computeMetadata/v1/instance/service-accounts/default/token')) {
    const token = { access_token: 'google-token', expires_in: 3_600, token_type: 'Bearer' };
    return ['application/json', JSON.stringify(token)];
  }
  if (path.includes('/oauth2/token')) {
    const token = {
      access_token: 'azure-token',
      expires_in: '3600',
      expires_on: '4922899200',
      token_type: 'Bearer',
    };
    return ['application/json', JSON.stringify(token)];
  }
  return ['application/json', JSON.stringify({ refresh_token: 'acr-token' })];
}

export async function startCloud(): Promise<Cloud> {
  const asked: string[] = [];
  const handle: http.RequestListener = (request, response) => {
    const { method, url = '', headers } = request;
    void buffer(request).then((bytes) => {
      const body = bytes.toString();
      asked.push(`${method} ${url.split('?')[0]} ${body}`);
      const [type, text] = answerAmazon(String(headers['x-amz-target']), body) ?? answerOthers(url);
      response.writeHead(200, { 'content-type': type, 'metadata-flavor': 'Google' });
      response.end(text);
    });
  };
  const plain = http.createServer(handle);
  const azure = https.createServer({ cert: AZURE_CERTIFICATE, key: AZURE_KEY }, handle);
  const proxy = http.createServer();
  const [port, azurePort, proxyPort] = await Promise.all([plain, azure, proxy].map(listen));
  proxy.on('connect', (_, socket) => {
    const onward = connect(azurePort ?? 0, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
  });
  return {
    url: `http://127.0.0.1:${port}`,
    proxyUrl: `http://127.0.0.1:${proxyPort}`,
    asked,
    async close() {
      plain.closeAllConnections();
      azure.closeAllConnections();
      await Promise.all(
        [plain, azure, proxy].map((server) => new Promise((resolve) => server.close(resolve))),
      );
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}
