/** Where Go finds the usual authorities on Linux when it is told of no folder. */
const USUAL_FOLDER = '/etc/ssl/certs';

/**
 * The environment for programs written in Go, such as the copy engine: proxies and authorities in words that they read as we do.
 * They separate NO_PROXY by commas alone; and where both a file and folders of authorities are named, they forget the usual ones.
 */
export function toGoEnvironment(
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, rewrite(name, value, environment)]),
  );
}

function rewrite(
  name: string,
  value: string,
  { SSL_CERT_FILE: file }: Readonly<Record<string, string>>,
): string {
  if (name.toUpperCase() === 'NO_PROXY') {
    return splitExceptions(value).join(',');
  }
  return name === 'SSL_CERT_DIR' && value !== '' && file ? `${value}:${USUAL_FOLDER}` : value;
}

/** NO_PROXY, with commas or blanks between its entries. */
export function splitExceptions(text: string): readonly string[] {
  return text.split(/[\s,]+/u).filter((entry) => entry !== '');
}
