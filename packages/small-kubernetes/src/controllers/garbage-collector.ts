/**
 * Objects whose owners are all gone go too (background). An owner deleted in the foreground waits for its dependents,
 * and one deleted as an orphan lets go of them first. Knows objects by uid, from the store's changes.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { FOREGROUND, ORPHAN } from '../api/deletion.ts';
import type { KubeObject } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import type { Change } from '../api/store.ts';
import { Controller } from './controller.ts';

export class GarbageCollector extends Controller {
  readonly #objects = new Map<string, KubeObject>();
  readonly #dependents = new Map<string, Set<string>>();

  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow('*', (change) => this.#hear(change));
  }

  #hear({ type, object, previous }: Change): void {
    const { uid, ownerReferences = [], deletionTimestamp } = object.metadata;
    for (const owner of previous?.metadata.ownerReferences ?? []) this.#dependents.get(owner.uid)?.delete(uid);
    if (type === 'DELETED') {
      this.#objects.delete(uid);
      for (const dependent of this.#dependents.get(uid) ?? []) this.mark(dependent);
      this.#dependents.delete(uid);
      for (const owner of ownerReferences) this.mark(owner.uid);
      return;
    }
    this.#objects.set(uid, object);
    for (const owner of ownerReferences) {
      this.#dependents.set(owner.uid, (this.#dependents.get(owner.uid) ?? new Set()).add(uid));
    }
    if (ownerReferences.length > 0 || deletionTimestamp !== undefined) this.mark(uid);
  }

  protected reconcile(uid: string): void {
    const object = this.#objects.get(uid);
    if (!object) return;
    const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(ORPHAN)) this.#orphanDependents(object);
      else if (finalizers.includes(FOREGROUND)) this.#deleteDependents(object);
      return;
    }
    if (ownerReferences.length > 0 && ownerReferences.every((owner) => !this.#objects.has(owner.uid))) {
      this.operations.deleteObject(object, { propagationPolicy: 'Background' });
    }
  }

  #dependentsOf({ metadata }: KubeObject): KubeObject[] {
    return [...(this.#dependents.get(metadata.uid) ?? [])].flatMap((uid) => this.#objects.get(uid) ?? []);
  }

  #orphanDependents(owner: KubeObject): void {
    for (const dependent of this.#dependentsOf(owner)) {
      this.operations.change(dependent, ({ metadata }) => {
        metadata.ownerReferences = (metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
      });
    }
    this.#removeFinalizer(owner, ORPHAN);
  }

  #deleteDependents(owner: KubeObject): void {
    for (const dependent of this.#dependentsOf(owner)) {
      if (dependent.metadata.deletionTimestamp === undefined) {
        this.operations.deleteObject(dependent, { propagationPolicy: 'Foreground' });
      }
    }
    const blocks = ({ metadata }: KubeObject) =>
      metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion);
    if (!this.#dependentsOf(owner).some(blocks)) this.#removeFinalizer(owner, FOREGROUND);
  }

  #removeFinalizer(object: KubeObject, finalizer: string): void {
    this.operations.change(object, ({ metadata }) => {
      metadata.finalizers = (metadata.finalizers ?? []).filter((name) => name !== finalizer);
    });
  }
}
