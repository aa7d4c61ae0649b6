/** Pods of a Node that was deleted go with it, since no kubelet is left to end them. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Pod, tables } from '../api/kinds/typed.ts';
import type { Operations } from '../api/operations.ts';
import { WorkQueue } from './work-queue.ts';

export class NodeController {
  readonly #queue: WorkQueue;
  readonly #stop: () => void;

  constructor(operations: Operations, log: Logger) {
    const { store } = operations;
    this.#queue = new WorkQueue((name) => removePodsOf(operations, name), log);
    this.#stop = store.subscribe(tables.nodes, ({ type, object }) => {
      if (type === 'DELETED') this.#queue.mark(object.metadata.name);
    });
  }

  close(): void {
    this.#stop();
    this.#queue.close();
  }
}

function removePodsOf(operations: Operations, node: string): void {
  if (operations.store.get(tables.nodes, '', node)) return;
  const pods = [...operations.store.all(tables.pods)].filter((pod) => (pod as Pod).spec.nodeName === node);
  for (const pod of pods) operations.deleteObject(pod, { gracePeriodSeconds: 0 });
}
