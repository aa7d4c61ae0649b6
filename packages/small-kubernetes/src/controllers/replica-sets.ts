/** ReplicaSets: as many pods as asked for, and a status that counts them. Adopts none. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isTrue, type Pod, tables, type Workload } from '../api/kinds/typed.ts';
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
    const [namespace = '', name = ''] = key.split('/');
    const set = this.store.get(tables.replicaSets, namespace, name) as Workload | undefined;
    if (!set) return;
    if (set.metadata.deletionTimestamp === undefined) this.#converge(set);
    this.#writeStatus(set);
  }

  #converge(set: Workload): void {
    const pods = this.#podsOf(set);
    const missing = (set.spec.replicas ?? 0) - pods.length;
    for (let n = 0; n < missing; n++) this.#createPod(set);
    const surplus = pods.sort(dispensableFirst).slice(0, Math.max(0, -missing));
    for (const pod of surplus) this.operations.deleteObject(pod);
  }

  /** Those that count: neither ended nor on their way out. */
  #podsOf({ metadata: { uid, namespace } }: Workload): Pod[] {
    const pods = this.store.list(tables.pods, namespace) as Pod[];
    return pods.filter((pod) => controllerOf(pod)?.uid === uid && isActive(pod));
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
    const pods = this.#podsOf(set);
    const ready = pods.filter((pod) => isTrue(pod.status.conditions, 'Ready')).length;
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
