/**
 * Namespaces: the usual ones exist, each has its `default` ServiceAccount, and a namespace in deletion is emptied and
 * goes when nothing is left in it.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { tables } from '../api/kinds/typed.ts';
import { isJsonObject, type KubeObject } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { tableOf } from '../api/resource.ts';
import { type Change, spaceOf } from '../api/store.ts';
import { WorkQueue } from './work-queue.ts';

const ALWAYS_THERE = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

export class NamespaceController {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stop: () => void;

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    this.#queue = new WorkQueue((name) => this.#reconcile(name), log);
    this.#stop = operations.store.subscribe('*', (change) => this.#hear(change));
    for (const name of ALWAYS_THERE) this.#ensure({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    // At once, so that pods can be created as soon as the server answers.
    for (const { metadata } of operations.store.list(tables.namespaces)) this.#reconcile(metadata.name);
  }

  close(): void {
    this.#stop();
    this.#queue.close();
  }

  #hear({ table, type, object }: Change): void {
    if (table === tables.namespaces) this.#queue.mark(object.metadata.name);
    else if (type === 'DELETED' && spaceOf(object) !== '') this.#queue.mark(spaceOf(object));
  }

  #reconcile(name: string): void {
    const namespace = this.#operations.store.get(tables.namespaces, '', name);
    if (!namespace) return;
    if (namespace.metadata.deletionTimestamp === undefined) {
      this.#ensure({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } });
    } else this.#empty(namespace);
  }

  #empty(namespace: KubeObject): void {
    const { store, registry } = this.#operations;
    const { name } = namespace.metadata;
    const definitions = new Map(registry.all.filter((d) => d.namespaced).map((d) => [tableOf(d), d]));
    let left = 0;
    for (const [table, definition] of definitions) {
      for (const object of store.list(table, name)) {
        if (object.metadata.deletionTimestamp === undefined) {
          this.#operations.delete(definition, name, object.metadata.name, { propagationPolicy: 'Background' });
        }
        if (store.get(table, name, object.metadata.name)) left++;
      }
    }
    if (left > 0) return;
    this.#operations.change(namespace, (draft) => {
      if (isJsonObject(draft['spec'])) delete draft['spec']['finalizers'];
    });
  }

  #ensure(object: { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } }): void {
    const definition = this.#operations.registry.findKind(object.apiVersion, object.kind);
    const { namespace = '', name } = object.metadata;
    if (definition && !this.#operations.store.get(tableOf(definition), namespace, name))
      this.#operations.createObject(object);
  }
}
