/** Lines as the copy engine writes them. */
export function aTraceLine(request: {
  readonly method?: string;
  readonly url: string;
  /** As on the status line: `404 Not Found`. */
  readonly status?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly err?: string;
}): string {
  const { method = 'GET', url, status, headers = {}, err } = request;
  const answer =
    err === undefined
      ? {
          'resp-status': status ?? '200 OK',
          'resp-headers': Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
        }
      : { err };
  return JSON.stringify({
    time: '2026-11-23T07:11:55.028Z',
    level: 'DEBUG-4',
    msg: 'reg http request',
    'req-method': method,
    'req-url': url,
    'req-headers': { 'User-Agent': ['regclient/regctl (v0.11.5)'], Authorization: ['[censored]'] },
    ...answer,
  });
}

export const CONFIG_WARNING = JSON.stringify({
  level: 'WARN',
  msg: 'Failed to load default config',
  err: 'invalid character',
});
