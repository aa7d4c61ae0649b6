/** What a request to delete means for an object: preconditions, finalizers, grace. Pure; the store acts elsewhere. */
import { draftOf, type KubeObject, timestamp } from './objects.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly uid?: string;
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

/** The caller meant another object of this name. */
export function preconditionFailure(
  { metadata }: KubeObject,
  { uid = metadata.uid }: DeleteOptions,
): string | undefined {
  if (uid === metadata.uid) return undefined;
  return `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
}

export function finalizersFor({ metadata }: KubeObject, { propagationPolicy }: DeleteOptions): string[] {
  const old = metadata.finalizers ?? [];
  if (propagationPolicy === undefined) return old;
  const others = old.filter((name) => name !== FOREGROUND && name !== ORPHAN);
  const own = { Foreground: [FOREGROUND], Orphan: [ORPHAN], Background: [] }[propagationPolicy];
  return [...others, ...own];
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
  const isFirst = metadata.deletionTimestamp === undefined;
  if (isFirst || grace < (metadata.deletionGracePeriodSeconds ?? 0)) {
    if (isFirst && counts) metadata.generation = (metadata.generation ?? 0) + 1;
    metadata.deletionTimestamp = timestamp(new Date(now.getTime() + grace * 1000));
    metadata.deletionGracePeriodSeconds = grace;
  }
  if (draft.kind === 'Namespace') draft['status'] = { phase: 'Terminating' };
  return draft;
}
