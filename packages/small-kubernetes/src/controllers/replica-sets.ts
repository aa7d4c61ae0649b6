/** ReplicaSets: as many pods as asked for, and a status that counts them. Adopts none. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isTrue } from '../api/kinds/conditions.ts';
import { type Pod, tables, type Workload } from '../api/kinds/typed.ts';
import { controlledBy, controllerOf, withoutZeros } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { keyOf, spaceOf } from '../api/store.ts';
import { Controller } from './controller.ts';

export class ReplicaSetController extends Controller {
  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow(tables.replicaSets, ({ object }) => this.mark(keyOf(object)));
    this.follow(tables.pods, ({ object }) => {
      const owner = controllerOf(object);
      if (owner?.kind === 'ReplicaSet') this.mark(`${spaceOf(object)}/${owner.name}`);
    });
  }

  protected reconcile(key: string): void {
    const set = this.store.find(tables.replicaSets, key) as Workload | undefined;
    if (!set) return;
    if (set.metadata.deletionTimestamp === undefined) this.#converge(set);
    this.#writeStatus(set);
  }

  #converge(set: Workload): void {
    const pods = this.#podsOf(set);
    const missing = (set.spec.replicas ?? 0) - pods.length;
    for (let n = 0; n < missing; n++) this.#createPod(set);
    const surplus = pods.sort((a, b) => Number(isReady(a)) - Number(isReady(b))).slice(0, Math.max(0, -missing));
    for (const pod of surplus) this.operations.deleteObject(pod);
  }

  /** Those that count: not on their way out. */
  #podsOf({ metadata: { uid, namespace } }: Workload): Pod[] {
    const pods = this.store.list(tables.pods, namespace) as Pod[];
    return pods.filter((pod) => controllerOf(pod)?.uid === uid && pod.metadata.deletionTimestamp === undefined);
  }

  #createPod(set: Workload): void {
    const { metadata, spec } = set.spec.template;
    const own = {
      generateName: `${set.metadata.name}-`,
      namespace: spaceOf(set),
      ownerReferences: [controlledBy(set)],
    };
    this.operations.createObject({ apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, ...own }, spec });
  }

  #writeStatus(set: Workload): void {
    const pods = this.#podsOf(set);
    const ready = pods.filter(isReady).length;
    const counts = {
      fullyLabeledReplicas: pods.length,
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

const isReady = ({ status }: Pod): boolean => isTrue(status.conditions, 'Ready');
