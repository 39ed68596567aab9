/** How a registry wants to be shown a credential, from the `WWW-Authenticate` header of a 401. */
export type Challenge =
  | { readonly scheme: 'basic' }
  | {
      readonly scheme: 'bearer';
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
    };

const SCHEME = /^[\s,]*(basic|bearer|[\w-]+)(?=\s|,|$)(?!\s*=)/i;
const PARAMETER = /^[\s,]*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/;
const LONGEST_HEADER = 8_192;

/** The challenge that can be met: Bearer before Basic, undefined when the header offers neither. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const offered = splitChallenges((header ?? '').slice(0, LONGEST_HEADER));
  const bearer = offered.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.get('realm'));
  if (bearer) {
    const { parameters } = bearer;
    const service = parameters.get('service') || undefined;
    return {
      scheme: 'bearer',
      realm: parameters.get('realm') ?? '',
      service,
      scope: parameters.get('scope') || undefined,
    };
  }
  return offered.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined;
}

interface Offer {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

function splitChallenges(header: string): readonly Offer[] {
  const offers: Offer[] = [];
  let rest = header;
  for (;;) {
    const parameter = PARAMETER.exec(rest);
    if (parameter) {
      const [text, name = '', quoted, plain = ''] = parameter;
      offers.at(-1)?.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain);
      rest = rest.slice(text.length);
      continue;
    }
    const scheme = SCHEME.exec(rest);
    if (!scheme) {
      return offers;
    }
    offers.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: new Map() });
    rest = rest.slice(scheme[0].length);
  }
}
