/**
 * Objects whose owners are all gone go too (background). An owner deleted in the foreground waits for its dependents,
 * and one deleted as an orphan lets go of them first. Knows objects by uid, from the store's changes.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { FOREGROUND, ORPHAN } from '../api/deletion.ts';
import type { KubeObject } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import type { Change } from '../api/store.ts';
import { WorkQueue } from './work-queue.ts';

export class GarbageCollector {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stop: () => void;
  readonly #objects = new Map<string, KubeObject>();
  readonly #dependents = new Map<string, Set<string>>();

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    this.#queue = new WorkQueue((uid) => this.#look(uid), log);
    this.#stop = operations.store.subscribe('*', (change) => this.#hear(change));
    for (const [, object] of operations.store.entries()) this.#learn(object);
    for (const uid of this.#objects.keys()) this.#queue.mark(uid);
  }

  close(): void {
    this.#stop();
    this.#queue.close();
  }

  #hear({ type, object, previous }: Change): void {
    if (previous) this.#forget(previous);
    if (type !== 'DELETED') this.#learn(object);
    const { uid, ownerReferences, deletionTimestamp } = object.metadata;
    if (type === 'DELETED') {
      for (const dependent of this.#dependents.get(uid) ?? []) this.#queue.mark(dependent);
      for (const owner of ownerReferences ?? []) this.#queue.mark(owner.uid);
    } else if (ownerReferences !== undefined || deletionTimestamp !== undefined) this.#queue.mark(uid);
  }

  #learn(object: KubeObject): void {
    this.#objects.set(object.metadata.uid, object);
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(uid) ?? new Set();
      this.#dependents.set(uid, dependents.add(object.metadata.uid));
    }
  }

  #forget({ metadata }: KubeObject): void {
    this.#objects.delete(metadata.uid);
    for (const { uid } of metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(uid);
      dependents?.delete(metadata.uid);
      if (dependents?.size === 0) this.#dependents.delete(uid);
    }
  }

  #look(uid: string): void {
    const object = this.#objects.get(uid);
    if (!object) return;
    const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(ORPHAN)) this.#orphanDependents(object);
      else if (finalizers.includes(FOREGROUND)) this.#deleteDependents(object);
      return;
    }
    if (ownerReferences.length > 0 && ownerReferences.every((owner) => !this.#objects.has(owner.uid))) {
      this.#operations.deleteObject(object, { propagationPolicy: 'Background' });
    }
  }

  #dependentsOf({ metadata }: KubeObject): KubeObject[] {
    return [...(this.#dependents.get(metadata.uid) ?? [])].flatMap((uid) => this.#objects.get(uid) ?? []);
  }

  #orphanDependents(owner: KubeObject): void {
    for (const dependent of this.#dependentsOf(owner)) {
      this.#operations.change(dependent, ({ metadata }) => {
        const rest = metadata.ownerReferences?.filter(({ uid }) => uid !== owner.metadata.uid) ?? [];
        if (rest.length > 0) metadata.ownerReferences = rest;
        else delete metadata.ownerReferences;
      });
    }
    this.#removeFinalizer(owner, ORPHAN);
  }

  #deleteDependents(owner: KubeObject): void {
    for (const dependent of this.#dependentsOf(owner)) {
      if (dependent.metadata.deletionTimestamp === undefined) {
        this.#operations.deleteObject(dependent, { propagationPolicy: 'Foreground' });
      }
    }
    const blocks = ({ metadata }: KubeObject) =>
      metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion);
    if (!this.#dependentsOf(owner).some(blocks)) this.#removeFinalizer(owner, FOREGROUND);
  }

  #removeFinalizer(object: KubeObject, finalizer: string): void {
    this.#operations.change(object, ({ metadata }) => {
      metadata.finalizers = (metadata.finalizers ?? []).filter((name) => name !== finalizer);
    });
  }
}
