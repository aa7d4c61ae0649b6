/**
 * Namespaces: the usual ones exist, each has its `default` ServiceAccount, and a namespace in deletion is emptied and
 * goes when nothing is left in it.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { tables } from '../api/kinds/typed.ts';
import type { KubeObject } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { tableOf } from '../api/resource.ts';
import { spaceOf } from '../api/store.ts';
import { Controller } from './controller.ts';

const ALWAYS_THERE = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

export class NamespaceController extends Controller {
  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow('*', ({ table, type, object }) => {
      if (table === tables.namespaces) this.mark(object.metadata.name);
      else if (type === 'DELETED' && spaceOf(object) !== '') this.mark(spaceOf(object));
    });
    for (const name of ALWAYS_THERE) {
      operations.createObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      this.reconcile(name); // At once, so that pods can be created as soon as the server answers.
    }
  }

  protected reconcile(name: string): void {
    const namespace = this.store.get(tables.namespaces, '', name);
    if (!namespace) return;
    if (namespace.metadata.deletionTimestamp !== undefined) this.#empty(namespace);
    else if (!this.store.get(tables.serviceAccounts, name, 'default')) {
      const metadata = { name: 'default', namespace: name };
      this.operations.createObject({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    }
  }

  #empty(namespace: KubeObject): void {
    const { name } = namespace.metadata;
    const namespaced = this.operations.registry.all.filter((definition) => definition.namespaced);
    const contents = () => namespaced.flatMap((definition) => this.store.list(tableOf(definition), name));
    for (const object of contents()) {
      if (object.metadata.deletionTimestamp === undefined)
        this.operations.deleteObject(object, { propagationPolicy: 'Background' });
    }
    if (contents().length === 0) this.operations.change(namespace, (draft) => void Object.assign(draft, { spec: {} }));
  }
}
