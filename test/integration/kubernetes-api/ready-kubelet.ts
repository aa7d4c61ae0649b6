/** A kubelet of few words, for tests: pods with a node are Ready at once, pods in deletion go at once. Runs nothing. */
import { type Pod, tables } from '@tombolo/small-kubernetes/api/kinds/typed.ts';
import type { Operations } from '@tombolo/small-kubernetes/api/operations.ts';

export class ReadyKubelet {
  readonly #operations: Operations;
  readonly #stop: () => void;
  #paused = false;
  #addresses = 0;

  constructor(operations: Operations) {
    this.#operations = operations;
    this.#stop = operations.store.subscribe(tables.pods, ({ type, object }) => {
      if (type !== 'DELETED' && !this.#paused) queueMicrotask(() => this.#serve(object as Pod));
    });
  }

  /** From now on pods stay as they are. */
  pause(): void {
    this.#paused = true;
  }

  close(): void {
    this.#stop();
  }

  #serve({ metadata }: Pod): void {
    const pod = this.#operations.store.get(tables.pods, metadata.namespace ?? '', metadata.name) as Pod | undefined;
    if (!pod?.spec.nodeName) return;
    if (pod.metadata.deletionTimestamp !== undefined) this.#operations.deleteObject(pod, { gracePeriodSeconds: 0 });
    else if (pod.status.phase === 'Pending') this.#makeReady(pod);
  }

  #makeReady(pod: Pod): void {
    const ip = `10.1.${Math.floor(this.#addresses / 250)}.${(this.#addresses++ % 250) + 1}`;
    this.#operations.change(
      pod,
      ({ spec, status }) => {
        status.phase = 'Running';
        status.podIP = ip;
        status.podIPs = [{ ip }];
        status.conditions = [...(status.conditions ?? []), { type: 'Ready', status: 'True' }];
        status.containerStatuses = spec.containers.map(({ name }) => ({
          name,
          ready: true,
          restartCount: 0,
          state: {},
        }));
      },
      { subresource: 'status' },
    );
  }
}
