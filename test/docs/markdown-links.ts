/** A link inside the repository, as it is written. */
export interface Link {
  /** Empty for the page itself. */
  readonly path: string;
  /** Empty for no heading. */
  readonly anchor: string;
}

/** What is in code is no Markdown. */
function dropCode(text: string): string {
  return text.replaceAll(/^( *)(`{3,})[^\n]*\n.*?^\1\2`*$/gms, '');
}

/** All links that lead to a page or heading of this repository. */
export function findLinks(text: string): readonly Link[] {
  const prose = dropCode(text).replaceAll(/`[^`\n]*`/g, 'code');
  const targets = [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target ?? '');
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#');
      return { path, anchor };
    });
}

/** As GitHub makes them: letters, digits, `-` and `_` stay, spaces become `-`. */
function toAnchor(heading: string): string {
  const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim();
  return words
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** What can be linked to in a page; the second heading of the same text has `-1` at its end. */
export function listAnchors(text: string): ReadonlySet<string> {
  const anchors = [...dropCode(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) =>
    toAnchor(heading ?? ''),
  );
  return new Set(
    anchors.map((anchor, index) => {
      const earlier = anchors.slice(0, index).filter((other) => other === anchor).length;
      return earlier === 0 ? anchor : `${anchor}-${earlier}`;
    }),
  );
}
