/** CustomResourceDefinitions become served kinds at once, and take their objects with them when they are deleted. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { customDefinitions, isEstablished, storageVersion } from '../api/kinds/custom-resource.ts';
import { tables } from '../api/kinds/typed.ts';
import { fieldAt, isJsonObject, type KubeObject, timestamp } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { tableOf } from '../api/resource.ts';
import type { Change } from '../api/store.ts';
import { WorkQueue } from './work-queue.ts';

export class CustomResourceController {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stop: () => void;

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    this.#queue = new WorkQueue((name) => this.#establish(name), log);
    this.#stop = operations.store.subscribe(tables.customResources, (change) => this.#hear(change));
  }

  close(): void {
    this.#stop();
    this.#queue.close();
  }

  /** Served within the turn of the commit: whoever created the definition can go on with its objects. */
  #hear({ type, object, previous }: Change): void {
    if (previous) this.#withdraw(previous);
    if (type === 'DELETED') {
      this.#removeObjects(object);
      return;
    }
    for (const definition of customDefinitions(object)) this.#operations.registry.add(definition);
    this.#queue.mark(object.metadata.name);
  }

  #withdraw(crd: KubeObject): void {
    for (const { group, version, resource } of customDefinitions(crd)) {
      this.#operations.registry.remove(group, version, resource);
    }
  }

  #removeObjects(crd: KubeObject): void {
    const { store } = this.#operations;
    const definition = customDefinitions(crd)[0];
    if (!definition) return;
    for (const { metadata } of store.list(tableOf(definition))) {
      store.remove(tableOf(definition), metadata.namespace ?? '', metadata.name);
    }
  }

  #establish(name: string): void {
    const { store, now } = this.#operations;
    const crd = store.get(tables.customResources, '', name);
    if (!crd || isEstablished(crd)) return;
    const lastTransitionTime = timestamp(now());
    const condition = (type: string, reason: string, message: string) => ({
      type,
      status: 'True',
      reason,
      message,
      lastTransitionTime,
    });
    const names = fieldAt(crd, ['spec', 'names']);
    const status = {
      acceptedNames: isJsonObject(names) ? names : {},
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      storedVersions: [storageVersion(crd)],
    };
    this.#operations.change(crd, (draft) => void Object.assign(draft, { status }), { subresource: 'status' });
  }
}
