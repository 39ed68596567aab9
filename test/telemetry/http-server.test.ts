import { describe, expect, it, onTestFinished } from 'vitest';

import { UsageError } from '../../src/errors.ts';
import {
  answerHealth,
  parseBindAddress,
  startHttpServer,
  type Pages,
} from '../../src/telemetry/http-server.ts';

async function start(pages: Pages): Promise<string> {
  const server = await startHttpServer({ host: '127.0.0.1', port: 0 }, pages);
  onTestFinished(() => server.close());
  return server.url;
}

describe('a bind address', () => {
  it.each([
    [':8080', { host: undefined, port: 8080 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:8080', { host: '::1', port: 8080 }],
    ['0', undefined],
  ])('%s is understood', (text, expected) => {
    expect(parseBindAddress('--flag', text)).toEqual(expected);
  });

  it.each(['8080', 'x', ':99999', '::1:8080', ''])('%j is refused', (text) => {
    expect(() => parseBindAddress('--flag', text)).toThrow(UsageError);
  });

  it('that is in use is refused with a sentence', async () => {
    const port = Number(new URL(await start({})).port);
    await expect(startHttpServer({ host: '127.0.0.1', port }, {})).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}`,
    );
  });
});

it('serves its pages, and nothing else', async () => {
  const url = await start({ '/metrics': () => ({ status: 200, body: 'a 1\n' }) });
  expect(await (await fetch(`${url}/metrics?x=1`)).text()).toBe('a 1\n');
  expect((await fetch(`${url}/constructor`)).status).toBe(404);
  expect((await fetch(url)).status).toBe(404);
});

it('cuts the connection when a page fails, and goes on serving', async () => {
  const url = await start({
    '/bad': () => {
      throw new Error('bug');
    },
    '/good': () => ({ status: 200, body: 'ok' }),
  });
  await expect(fetch(`${url}/bad`)).rejects.toThrow('fetch failed');
  expect((await fetch(`${url}/good`)).status).toBe(200);
});

it('says which check fails, not why', () => {
  expect(answerHealth({ watch: () => undefined, lease: () => 'secret reason' })).toEqual({
    status: 503,
    body: '[+]watch ok\n[-]lease failed\n',
  });
});

it('is healthy when every check is', () => {
  expect(answerHealth({ watch: () => undefined })).toEqual({ status: 200, body: '[+]watch ok\n' });
});
