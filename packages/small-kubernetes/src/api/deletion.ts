/** What a request to delete means for an object: preconditions, finalizers, grace. Pure; the store acts elsewhere. */
import { draftOf, type KubeObject, timestamp } from './objects.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

/** Whether the object is gone, or only marked and waiting for finalizers or a kubelet. */
export interface DeleteOutcome {
  readonly removed: boolean;
  readonly object: KubeObject;
}

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

export const hasFinalizers = ({ metadata }: KubeObject): boolean => (metadata.finalizers?.length ?? 0) > 0;

export function preconditionFailure(
  { metadata }: KubeObject,
  { preconditions = {} }: DeleteOptions,
): string | undefined {
  const { uid, resourceVersion } = preconditions;
  if (uid !== undefined && uid !== metadata.uid) {
    return `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    return `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
  }
  return undefined;
}

export function finalizersFor({ metadata }: KubeObject, { propagationPolicy }: DeleteOptions): string[] {
  const old = metadata.finalizers ?? [];
  switch (propagationPolicy) {
    case 'Foreground':
      return [...old.filter((name) => name !== FOREGROUND && name !== ORPHAN), FOREGROUND];
    case 'Orphan':
      return [...old.filter((name) => name !== FOREGROUND && name !== ORPHAN), ORPHAN];
    case 'Background':
      return old.filter((name) => name !== FOREGROUND && name !== ORPHAN);
    default:
      return old;
  }
}

interface Marking {
  readonly grace: number;
  readonly finalizers: string[];
  readonly now: Date;
  readonly counts: boolean;
}

/** A repeated request can only shorten the wait. */
export function withDeletion(current: KubeObject, { grace, finalizers, now, counts }: Marking): KubeObject {
  const draft = draftOf(current);
  const { metadata } = draft;
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  const before = metadata.deletionGracePeriodSeconds ?? Number.POSITIVE_INFINITY;
  if (metadata.deletionTimestamp === undefined || grace < before) {
    if (metadata.deletionTimestamp === undefined && counts) metadata.generation = (metadata.generation ?? 0) + 1;
    metadata.deletionTimestamp = timestamp(new Date(now.getTime() + grace * 1000));
    metadata.deletionGracePeriodSeconds = grace;
  }
  if (draft.kind === 'Namespace' && draft.apiVersion === 'v1') draft['status'] = { phase: 'Terminating' };
  return draft;
}
