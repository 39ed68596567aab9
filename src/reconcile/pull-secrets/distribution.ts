import type { WriteDeniedError } from '../../errors.ts';
import type { EventReason } from '../events/catalogue.ts';
import { createEvent } from '../events/create-event.ts';
import type { ObjectEvent } from '../events/object-event.ts';
import type { PullSecret, PullSecretContent, PullSecretStore } from '../ports.ts';

export interface DistributionFacts {
  /** The Secret in the namespace of the controller. */
  readonly source: PullSecret | undefined;
  /** The Secret of that name in the namespace it is about. */
  readonly found: PullSecret | undefined;
  readonly use: { readonly isUsed: boolean; readonly kinds: readonly string[] };
  /** False for a kind whose workloads cannot be seen now. */
  readonly canSee: (kind: string) => boolean;
}

export type Distribution =
  | { readonly is: 'nothing' }
  | { readonly is: 'create'; readonly content: PullSecretContent }
  | { readonly is: 'update'; readonly secret: PullSecret; readonly content: PullSecretContent }
  | { readonly is: 'remove'; readonly secret: PullSecret };

const NOTHING: Distribution = { is: 'nothing' };

function planUsed({ source, found, use }: DistributionFacts): Distribution {
  if (source?.config === undefined) {
    // Without a source, those that were handed out go on working as long as they do.
    return NOTHING;
  }
  const usedBy = [...new Set([...(found?.usedBy ?? []), ...use.kinds])].toSorted();
  const content = { config: source.config, usedBy };
  if (!found) {
    return { is: 'create', content };
  }
  const isCurrent = found.config === source.config && found.usedBy.join() === usedBy.join();
  return isCurrent ? NOTHING : { is: 'update', secret: found, content };
}

/** Decides what becomes of the Secret in one namespace. One that is not ours is never touched. */
export function planDistribution(facts: DistributionFacts): Distribution {
  const { found, use, canSee } = facts;
  if (found && !found.isOurs) {
    return NOTHING;
  }
  // A workload that cannot be seen, because its kind is not watched any more, may still need it.
  if (use.isUsed || found?.usedBy.every(canSee) === false) {
    return planUsed(facts);
  }
  return found ? { is: 'remove', secret: found } : NOTHING;
}

export interface ProblemFacts {
  readonly name: string;
  readonly ownNamespace: string;
  readonly state: ReturnType<PullSecretStore['state']>;
  readonly source: PullSecret | undefined;
  /** The namespace of the workload has a Secret of that name that is not ours. */
  readonly isUnmanaged: boolean;
  /** The user has written the entry into the template: whatever Secret is there is the user's choice. */
  readonly isUsersEntry: boolean;
}

function warn(reason: EventReason, note: string): ObjectEvent {
  return createEvent(reason, `${note} The workload stays as it is.`);
}

const GRANT = 'Apply config/components/pull-secret/rbac.yaml with this name in it, or empty PULL_SECRET.';

function describeProblem({ name, ownNamespace, ...facts }: ProblemFacts): ObjectEvent | undefined {
  if (facts.state === 'forbidden') {
    const note = `The copies are to be pulled with the Secret ${name} (PULL_SECRET), which the controller may not read. ${GRANT}`;
    return warn('PullSecretForbidden', note);
  }
  if (facts.state === 'known' && facts.source?.config === undefined) {
    const what = facts.source ? 'is not of the type kubernetes.io/dockerconfigjson' : 'does not exist';
    const note = `The Secret ${name} (PULL_SECRET) in the namespace ${ownNamespace} ${what}. Create it there.`;
    return warn('PullSecretMissing', note);
  }
  return undefined;
}

/** Why a workload cannot have the pull secret now, and what to do; undefined when it can. */
export function planProblemEvent(facts: ProblemFacts): ObjectEvent | undefined {
  if (facts.isUnmanaged && facts.isUsersEntry) {
    return undefined;
  }
  if (facts.isUnmanaged && facts.state === 'known') {
    const note =
      `The namespace has a Secret ${facts.name} of its own, which is not overwritten. Delete it, add it to ` +
      'imagePullSecrets of this workload if it is good for the backup registry, or give PULL_SECRET another name.';
    return warn('PullSecretConflict', note);
  }
  return describeProblem(facts);
}

export function planSecretDeniedEvent(name: string, error: WriteDeniedError): ObjectEvent {
  const note = `The Secret ${name} (PULL_SECRET) cannot be put into this namespace: ${error.message}. ${GRANT}`;
  return warn('PullSecretForbidden', note);
}
