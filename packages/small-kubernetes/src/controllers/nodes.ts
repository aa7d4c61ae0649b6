/** Pods of a Node that was deleted go with it, since no kubelet is left to end them. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Pod, tables } from '../api/kinds/typed.ts';
import type { Operations } from '../api/operations.ts';
import { Controller } from './controller.ts';

export class NodeController extends Controller {
  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow(tables.nodes, ({ type, object }) => {
      if (type === 'DELETED') this.mark(object.metadata.name);
    });
  }

  protected reconcile(node: string): void {
    if (this.store.get(tables.nodes, '', node)) return;
    const pods = this.store.list(tables.pods).filter((pod) => (pod as Pod).spec.nodeName === node);
    for (const pod of pods) this.operations.deleteObject(pod, { gracePeriodSeconds: 0 });
  }
}
