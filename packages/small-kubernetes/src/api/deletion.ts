/** What a request to delete means for an object: finalizers, grace. Pure; the store acts elsewhere. */
import { draftOf, type KubeObject, listAt, timestamp } from './objects.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Of the object that the caller means; absent, whichever has the name. */
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

/** Namespaces have finalizers in their spec, too. */
export const hasFinalizers = (object: KubeObject): boolean =>
  [...listAt(object, 'metadata.finalizers'), ...listAt(object, 'spec.finalizers')].length > 0;

/** The object as it is while it waits. A repeated request can only shorten the wait. */
export function withDeletion(
  current: KubeObject,
  { propagationPolicy }: DeleteOptions,
  grace: number,
  now: Date,
): KubeObject {
  const draft = draftOf(current);
  const { metadata } = draft;
  if (propagationPolicy !== undefined) {
    const others = (metadata.finalizers ?? []).filter((name) => name !== FOREGROUND && name !== ORPHAN);
    const own = { Foreground: [FOREGROUND], Orphan: [ORPHAN], Background: [] }[propagationPolicy];
    metadata.finalizers = [...others, ...own];
    if (metadata.finalizers.length === 0) delete metadata.finalizers;
  }
  if (metadata.deletionTimestamp === undefined || grace < (metadata.deletionGracePeriodSeconds ?? 0)) {
    metadata.deletionTimestamp = timestamp(new Date(now.getTime() + grace * 1000));
    metadata.deletionGracePeriodSeconds = grace;
  }
  if (draft.kind === 'Namespace') draft['status'] = { phase: 'Terminating' };
  return draft;
}
