/** Public and stable: users name it in the settings of GitOps tools, and it stands in `managedFields`. */
export const FIELD_MANAGER = 'backup-image-registry-controller';

/** A field manager to which an image in the pod template belongs, as `managedFields` has it. */
export interface ImageOwner {
  readonly manager: string;
  /** By server-side apply; any other way of writing is an update. */
  readonly isApply: boolean;
}

/** These override the fields of others, so that a conflict with us does not stop them. */
const FORCING: ReadonlySet<string> = new Set([
  'argocd-controller',
  'kustomize-controller',
  'helm-controller',
]);

/** True when the owner's next apply of another image fails as long as the field belongs to us. */
export function meetsConflicts({ manager, isApply }: ImageOwner): boolean {
  return isApply && !FORCING.has(manager);
}
