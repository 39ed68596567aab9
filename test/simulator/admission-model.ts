import { findReference, formatReference } from '../../src/images/reference.ts';
import { HOSTS } from './registry-model.ts';

/** What a policy makes of the images of a pod that is created. */
export const POLICIES = [
  'none',
  'backup from an empty mirror',
  'no tag beside a digest',
  'sources from a hardened mirror',
  'backup from a pull-through mirror',
] as const;

export type Policy = (typeof POLICIES)[number];

function replaceHost(image: string, from: string, to: string): string {
  return image.startsWith(`${from}/`) ? `${to}${image.slice(from.length)}` : image;
}

export function dropTag(image: string): string {
  const reference = findReference(image);
  if (!reference) {
    return image;
  }
  const { tag, ...others } = reference;
  return others.digest === undefined || tag === undefined ? image : formatReference(others);
}

const ADMIT: Readonly<Record<Policy, (image: string) => string>> = {
  none: (image) => image,
  'backup from an empty mirror': (image) => replaceHost(image, HOSTS.backup, HOSTS.empty),
  'no tag beside a digest': dropTag,
  'sources from a hardened mirror': (image) => replaceHost(image, HOSTS.source, HOSTS.hardened),
  'backup from a pull-through mirror': (image) => replaceHost(image, HOSTS.backup, HOSTS.pullThrough),
};

/** The image that a new pod gets instead of the one in its template. */
export function admit(policy: Policy, image: string): string {
  return ADMIT[policy](image);
}
