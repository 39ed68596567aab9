import { InvalidImageError } from '../errors.ts';
import { quote } from '../images/reference.ts';

const DOCKER_HUB = 'docker.io';
const DOCKER_HUB_API = 'registry-1.docker.io';

/**
 * Host and port that serve the registry API for the host of a reference: Docker Hub is served under another
 * name.
 */
export function toApiHost(host: string): string {
  return host === DOCKER_HUB ? DOCKER_HUB_API : host;
}

/**
 * Where the registry API is spoken. Hosts listed as insecure are spoken to in plain http, always: a registry
 * with a certificate that cannot be verified is not helped by the list, but by a CA bundle in SSL_CERT_FILE.
 *
 * @throws {InvalidImageError} for a host that the grammar of images allows and that of addresses does not (`1.2.3.4.5`).
 */
export function toApiOrigin(host: string, insecureRegistries: readonly string[]): URL {
  const isInsecure = insecureRegistries.some((listed) => listed.toLowerCase() === host.toLowerCase());
  const origin = URL.parse(`${isInsecure ? 'http' : 'https'}://${toApiHost(host)}`);
  if (!origin) {
    throw new InvalidImageError(`the registry ${quote(host)} cannot be reached: this is no valid address`);
  }
  return origin;
}
