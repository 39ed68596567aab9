import { BlockList, isIP, isIPv6 } from 'node:net';

import { UsageError } from '../errors.ts';
import { splitExceptions } from './go-environment.ts';

type Environment = Readonly<Record<string, string | undefined>>;

function read(environment: Environment, name: string): string {
  return environment[name] || environment[name.toLowerCase()] || '';
}

/** `10.96.0.0/12` */
function isInRange(address: string, range: string): boolean {
  const [net = '', bits = ''] = range.split('/');
  const family = isIPv6(net) ? 'ipv6' : 'ipv4';
  const isRange =
    isIP(net) !== 0 && /^\d{1,3}$/u.test(bits) && Number(bits) <= (family === 'ipv6' ? 128 : 32);
  if (!isRange || isIP(address) === 0) {
    return false;
  }
  const block = new BlockList();
  block.addSubnet(net, Number(bits), family);
  return block.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** `[::1]:443`, `example.com:443`, `example.com`, `::1` */
function splitPort(entry: string): readonly [host: string, port: string] {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/u.exec(entry) ?? [];
  return [bracketed ?? plain ?? entry, port];
}

function isExcepted(host: string, port: string, entry: string): boolean {
  if (entry.includes('/')) {
    return isInRange(host, entry);
  }
  const [name, onlyPort] = splitPort(entry);
  if (onlyPort !== '' && onlyPort !== port) {
    return false;
  }
  if (isIP(name) !== 0) {
    return isInRange(host, `${name}/${isIPv6(name) ? 128 : 32}`);
  }
  const domain = name.replace(/^\*?\./u, '');
  // With a dot in front it stands for what is below a domain, but not for the domain.
  return (host === name && domain === name) || (domain !== '' && host.endsWith(`.${domain}`));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || isInRange(host, '127.0.0.0/8') || host === '::1';
}

/**
 * The proxy that HTTPS_PROXY (HTTP_PROXY for plain HTTP) and NO_PROXY name for a server, read as Go programs such as kubectl
 * read them, and with blanks for commas, too: NO_PROXY has names, domains, addresses, and ranges such as `10.96.0.0/12`, which Node would
 * not understand. A proxy without a scheme is spoken to in plain HTTP.
 *
 * @returns the address of the proxy; undefined when the server is to be reached directly.
 * @throws {UsageError} when the variable names no proxy that could be used; its value, which may hold a password, is not quoted.
 */
export function findEnvironmentProxy(server: URL, environment: Environment): string | undefined {
  const isPlain = server.protocol === 'http:';
  const name = isPlain ? 'HTTP_PROXY' : 'HTTPS_PROXY';
  const proxy = read(environment, name);
  const host = server.hostname.replace(/^\[(.*)\]$/u, '$1').toLowerCase();
  if (proxy === '' || isLoopback(host)) {
    return undefined;
  }
  const port = server.port || (isPlain ? '80' : '443');
  const exceptions = splitExceptions(read(environment, 'NO_PROXY').toLowerCase());
  const isDirect = exceptions.some((entry) => entry === '*' || isExcepted(host, port, entry));
  return isDirect ? undefined : parseProxy(proxy, name);
}

function parseProxy(text: string, name: string): string {
  const proxy = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (proxy === null || !['http:', 'https:'].includes(proxy.protocol)) {
    throw new UsageError(`${name} is no proxy that can be used: write http://proxy.example.com:3128`);
  }
  return proxy.href;
}
