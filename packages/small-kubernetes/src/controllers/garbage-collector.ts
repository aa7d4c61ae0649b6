/**
 * Objects whose owners are all gone go too (background). An owner deleted in the foreground waits for its dependents,
 * and one deleted as an orphan lets go of them first. Knows objects by uid, from the store's changes.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { FOREGROUND, ORPHAN } from '../api/deletion.ts';
import type { KubeObject } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { Controller } from './controller.ts';

export class GarbageCollector extends Controller {
  readonly #objects = new Map<string, KubeObject>();

  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow('*', ({ type, object }) => {
      const { uid, ownerReferences = [], deletionTimestamp } = object.metadata;
      if (type !== 'DELETED') {
        this.#objects.set(uid, object);
        if (ownerReferences.length > 0 || deletionTimestamp !== undefined) this.mark(uid);
      } else {
        this.#objects.delete(uid);
        for (const owner of ownerReferences) this.mark(owner.uid);
        for (const dependent of this.#dependentsOf(uid)) this.mark(dependent.metadata.uid);
      }
    });
  }

  protected reconcile(uid: string): void {
    const object = this.#objects.get(uid);
    if (!object) return;
    const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(ORPHAN)) this.#orphanDependents(object);
      else if (finalizers.includes(FOREGROUND)) this.#deleteDependents(object);
    } else if (ownerReferences.length > 0 && ownerReferences.every((owner) => !this.#objects.has(owner.uid)))
      this.operations.deleteObject(object, { propagationPolicy: 'Background' });
  }

  #dependentsOf(owner: string): KubeObject[] {
    const owns = ({ metadata }: KubeObject) => metadata.ownerReferences?.some(({ uid }) => uid === owner);
    return [...this.#objects.values()].filter(owns);
  }

  #orphanDependents(owner: KubeObject): void {
    for (const dependent of this.#dependentsOf(owner.metadata.uid)) {
      this.operations.change(dependent, ({ metadata }) => {
        metadata.ownerReferences = (metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
      });
    }
    this.#removeFinalizer(owner, ORPHAN);
  }

  #deleteDependents(owner: KubeObject): void {
    const { uid } = owner.metadata;
    for (const dependent of this.#dependentsOf(uid)) {
      if (dependent.metadata.deletionTimestamp === undefined)
        this.operations.deleteObject(dependent, { propagationPolicy: 'Foreground' });
    }
    const blocks = ({ metadata }: KubeObject) =>
      metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion);
    if (!this.#dependentsOf(uid).some(blocks)) this.#removeFinalizer(owner, FOREGROUND);
  }

  #removeFinalizer(object: KubeObject, finalizer: string): void {
    this.operations.change(object, ({ metadata }) => {
      metadata.finalizers = (metadata.finalizers ?? []).filter((name) => name !== finalizer);
    });
  }
}
