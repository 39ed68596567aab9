import { expect, it } from 'vitest';

import { toGoEnvironment } from '../../src/network/go-environment.ts';

it('has commas between the exceptions of a proxy, in either variable', () => {
  expect(toGoEnvironment({ NO_PROXY: ' a.example b.example,\n10.0.0.0/8 ', no_proxy: 'c d' })).toEqual({
    NO_PROXY: 'a.example,b.example,10.0.0.0/8',
    no_proxy: 'c,d',
  });
});

it('keeps the usual authorities where both a file and folders are named', () => {
  const [SSL_CERT_FILE, SSL_CERT_DIR] = ['/ca/bundle.pem', '/ca/more'];
  expect(toGoEnvironment({ SSL_CERT_FILE, SSL_CERT_DIR })).toEqual({
    SSL_CERT_FILE,
    SSL_CERT_DIR: '/ca/more:/etc/ssl/certs',
  });
  expect(toGoEnvironment({ SSL_CERT_DIR })).toEqual({ SSL_CERT_DIR });
  expect(toGoEnvironment({ SSL_CERT_FILE })).toEqual({ SSL_CERT_FILE });
});

it('leaves everything else as it is', () => {
  const environment = { PATH: '/bin', HTTPS_PROXY: 'http://a b' };
  expect(toGoEnvironment(environment)).toEqual(environment);
});
