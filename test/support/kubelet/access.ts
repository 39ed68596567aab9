import type { Credential, Pull, PulledImage } from './pull.ts';

/** With what an image was pulled so far; `everybody`: by the node itself, or without credentials. */
type Keys = 'everybody' | readonly Credential[];

/**
 * Who may have an image that the node has: a pod whose credentials have pulled it, as the kubelet does with its default
 * `imagePullCredentialsVerificationPolicy`. A tag makes no difference, another repository does. It is not forgotten with the
 * images.
 */
export class ImageAccess {
  private readonly keys = new Map<string, Keys>();

  remember({ pulled: { imageID }, credential }: Pull): void {
    const before = this.keys.get(imageID) ?? [];
    if (before === 'everybody' || credential?.secret === undefined) {
      this.keys.set(imageID, 'everybody');
      return;
    }
    const others = before.filter(({ secret }) => secret !== credential.secret);
    this.keys.set(imageID, [...others, credential]);
  }

  /** The same credentials will do in another Secret; and the same Secret, whatever it holds by now. */
  permits({ imageID }: PulledImage, credentials: readonly Credential[]): boolean {
    const keys = this.keys.get(imageID) ?? [];
    return (
      keys === 'everybody' ||
      credentials.some(({ authorization, secret }) =>
        keys.some((key) => key.authorization === authorization || key.secret === secret),
      )
    );
  }
}
