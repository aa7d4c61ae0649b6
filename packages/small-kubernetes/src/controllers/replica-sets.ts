/** ReplicaSets: as many pods as asked for, and a status that counts them. Adopts pods that match and have no owner. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isTrue, type Pod, tables, type Workload } from '../api/kinds/typed.ts';
import { selectorOfSpec } from '../api/label-selector.ts';
import { controlledBy, controllerOf, withoutZeros } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { type Change, keyOf, spaceOf } from '../api/store.ts';
import { Controller } from './controller.ts';

export class ReplicaSetController extends Controller {
  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow(tables.replicaSets, ({ object }) => this.mark(keyOf(object)));
    this.follow(tables.pods, (change) => this.#hearPod(change));
  }

  #hearPod({ object }: Change): void {
    for (const set of this.store.list(tables.replicaSets, spaceOf(object)) as Workload[]) {
      const owner = controllerOf(object);
      const isConcerned = owner
        ? owner.uid === set.metadata.uid
        : selectorOfSpec(set.spec.selector)(object.metadata.labels);
      if (isConcerned) this.mark(keyOf(set));
    }
  }

  protected reconcile(key: string): void {
    const [namespace = '', name = ''] = key.split('/');
    const set = this.store.get(tables.replicaSets, namespace, name) as Workload | undefined;
    if (!set) return;
    if (set.metadata.deletionTimestamp === undefined) this.#converge(set);
    this.#writeStatus(set);
  }

  #converge(set: Workload): void {
    const pods = this.#adoptPods(set);
    const missing = (set.spec.replicas ?? 0) - pods.length;
    for (let n = 0; n < missing; n++) this.#createPod(set);
    const surplus = pods.sort(dispensableFirst).slice(0, Math.max(0, -missing));
    for (const pod of surplus) this.operations.deleteObject(pod);
  }

  /** Those that count: neither ended nor on their way out. */
  #activePods(set: Workload): Pod[] {
    return (this.store.list(tables.pods, spaceOf(set)) as Pod[]).filter(isActive);
  }

  #adoptPods(set: Workload): Pod[] {
    const selects = selectorOfSpec(set.spec.selector);
    return this.#activePods(set).flatMap((pod) => {
      const owner = controllerOf(pod);
      if (owner) return owner.uid === set.metadata.uid ? [pod] : [];
      if (!selects(pod.metadata.labels)) return [];
      const adopt = ({ metadata }: Pod) => {
        metadata.ownerReferences = [...(metadata.ownerReferences ?? []), controlledBy(set)];
      };
      return [this.operations.change(pod, adopt)];
    });
  }

  #createPod(set: Workload): void {
    const { metadata, spec } = set.spec.template;
    this.operations.createObject({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...metadata,
        generateName: `${set.metadata.name}-`,
        namespace: spaceOf(set),
        ownerReferences: [controlledBy(set)],
      },
      spec,
    });
  }

  #writeStatus(set: Workload): void {
    const pods = this.#activePods(set).filter((pod) => controllerOf(pod)?.uid === set.metadata.uid);
    const ready = pods.filter((pod) => isTrue(pod.status.conditions, 'Ready')).length;
    const labelled = pods.filter(({ metadata }) => selectorOfSpec(set.spec.selector)(metadata.labels));
    const counts = {
      fullyLabeledReplicas: labelled.length,
      readyReplicas: ready,
      availableReplicas: ready,
      observedGeneration: set.metadata.generation ?? 0,
    };
    const count = (draft: Workload) => {
      draft.status = { replicas: pods.length, ...withoutZeros(counts) };
    };
    this.operations.change(set, count, { subresource: 'status' });
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
