/** ReplicaSets: as many pods as asked for, and a status that counts them. Adopts pods that match and have no owner. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isTrue, type Pod, tables, type Workload, type WorkloadStatus } from '../api/kinds/typed.ts';
import { selectorOfSpec } from '../api/label-selector.ts';
import { controllerOf, type OwnerReference } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { type Change, keyOf, spaceOf } from '../api/store.ts';
import { WorkQueue } from './work-queue.ts';

export class ReplicaSetController {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stops: readonly (() => void)[];

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    const { store } = operations;
    this.#queue = new WorkQueue((key) => this.#reconcile(key), log);
    this.#stops = [
      store.subscribe(tables.replicaSets, ({ object }) => this.#queue.mark(keyOf(object))),
      store.subscribe(tables.pods, (change) => this.#hearPod(change)),
    ];
    for (const set of store.all(tables.replicaSets)) this.#queue.mark(keyOf(set));
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#queue.close();
  }

  #hearPod({ object }: Change): void {
    const owner = controllerOf(object);
    if (owner) {
      if (owner.kind === 'ReplicaSet') this.#queue.mark(`${spaceOf(object)}/${owner.name}`);
      return;
    }
    for (const set of this.#operations.store.all(tables.replicaSets, spaceOf(object))) {
      if (selectorOfSpec((set as Workload).spec.selector)(object.metadata.labels)) this.#queue.mark(keyOf(set));
    }
  }

  #reconcile(key: string): void {
    const { store } = this.#operations;
    const [namespace = '', name = ''] = key.split('/');
    const set = store.get(tables.replicaSets, namespace, name) as Workload | undefined;
    if (!set) return;
    if (set.metadata.deletionTimestamp === undefined) this.#converge(set);
    this.#writeStatus(set);
  }

  #converge(set: Workload): void {
    const pods = this.#podsOf(set, true);
    const missing = (set.spec.replicas ?? 0) - pods.length;
    for (let n = 0; n < missing; n++) this.#createPod(set);
    if (missing >= 0) return;
    for (const pod of [...pods].sort(dispensableFirst).slice(0, -missing)) this.#operations.deleteObject(pod);
  }

  /** Those that count: neither ended nor on their way out. */
  #podsOf(set: Workload, adopt = false): Pod[] {
    const selects = selectorOfSpec(set.spec.selector);
    const active = ([...this.#operations.store.all(tables.pods, spaceOf(set))] as Pod[]).filter(isActive);
    return active.flatMap((pod) => {
      const owner = controllerOf(pod);
      if (owner) return owner.uid === set.metadata.uid ? [pod] : [];
      if (!adopt || !selects(pod.metadata.labels)) return [];
      return [
        this.#operations.change(pod, ({ metadata }) => {
          metadata.ownerReferences = [...(metadata.ownerReferences ?? []), ownerFor(set)];
        }),
      ];
    });
  }

  #createPod(set: Workload): void {
    const { metadata = {}, spec } = set.spec.template;
    this.#operations.createObject({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        generateName: `${set.metadata.name}-`,
        namespace: spaceOf(set),
        ...(metadata.labels ? { labels: metadata.labels } : {}),
        ...(metadata.annotations ? { annotations: metadata.annotations } : {}),
        ownerReferences: [ownerFor(set)],
      },
      spec,
    });
  }

  #writeStatus(set: Workload): void {
    const pods = this.#podsOf(set);
    const ready = pods.filter((pod) => isTrue(pod.status.conditions, 'Ready')).length;
    const labels = Object.entries(set.spec.template.metadata?.labels ?? {});
    const labelled = pods.filter((pod) => labels.every(([key, value]) => pod.metadata.labels?.[key] === value)).length;
    const status: WorkloadStatus = {
      replicas: pods.length,
      fullyLabeledReplicas: labelled,
      readyReplicas: ready,
      availableReplicas: ready,
      observedGeneration: set.metadata.generation ?? 0,
    };
    this.#operations.change(set, (draft) => Object.assign(draft, { status: { ...draft.status, ...status } }), {
      subresource: 'status',
    });
  }
}

const isActive = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined && status.phase !== 'Succeeded' && status.phase !== 'Failed';

/** Not scheduled before scheduled, not ready before ready, young before old. */
function dispensableFirst(a: Pod, b: Pod): number {
  return (
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    Number(isTrue(a.status.conditions, 'Ready')) - Number(isTrue(b.status.conditions, 'Ready')) ||
    Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp)
  );
}

const ownerFor = ({ metadata }: Workload): OwnerReference => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});
