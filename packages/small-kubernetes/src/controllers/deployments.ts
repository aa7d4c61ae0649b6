/**
 * Deployments: one ReplicaSet for each pod template, replicas moved from old to new within the bounds of the strategy,
 * and a status. It rolls by the bounds of `RollingUpdate` whatever the strategy, keeps all ReplicaSets, and times nothing.
 */
import { createHash } from 'node:crypto';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { withCondition } from '../api/kinds/conditions.ts';
import { type Condition, tables, type Workload, type WorkloadStatus } from '../api/kinds/typed.ts';
import { controlledBy, controllerOf, isJsonObject, timestamp, withoutZeros } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { keyOf, spaceOf } from '../api/store.ts';
import { Controller } from './controller.ts';
import { boundsOf, planRollout } from './rollout.ts';

const HASH = 'pod-template-hash';

export class DeploymentController extends Controller {
  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow(tables.deployments, ({ object }) => this.mark(keyOf(object)));
    this.follow(tables.replicaSets, ({ object }) => {
      const owner = controllerOf(object);
      if (owner?.kind === 'Deployment') this.mark(`${spaceOf(object)}/${owner.name}`);
    });
  }

  protected reconcile(key: string): void {
    const deployment = this.store.find(tables.deployments, key) as Workload | undefined;
    if (!deployment || deployment.metadata.deletionTimestamp !== undefined) return;
    const sets = this.#setsOf(deployment);
    const hash = hashOf(deployment.spec.template);
    const current = sets.find((set) => set.metadata.labels?.[HASH] === hash) ?? this.#createSet(deployment, hash);
    const old = sets.filter((set) => set.metadata.uid !== current.metadata.uid);
    const plan = planRollout(deployment, current, old);
    for (const set of [current, ...old]) {
      this.operations.change(set, ({ spec }) => {
        spec.replicas = plan.get(set.metadata.name) ?? 0;
      });
    }
    this.#writeStatus(deployment, current.metadata.name);
  }

  #setsOf(deployment: Workload): Workload[] {
    const sets = this.store.list(tables.replicaSets, spaceOf(deployment)) as Workload[];
    return sets.filter((set) => controllerOf(set)?.uid === deployment.metadata.uid);
  }

  #createSet(deployment: Workload, hash: string): Workload {
    const { selector, template } = deployment.spec;
    const labels = { ...template.metadata?.labels, [HASH]: hash };
    return this.operations.createObject({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        namespace: spaceOf(deployment),
        labels,
        ownerReferences: [controlledBy(deployment)],
      },
      spec: {
        replicas: 0,
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    }) as Workload;
  }

  #writeStatus(deployment: Workload, current: string): void {
    const sets = this.#setsOf(deployment);
    const total = (field: 'replicas' | 'readyReplicas' | 'availableReplicas') =>
      sets.reduce((sum, { status }) => sum + (status[field] ?? 0), 0);
    const availableReplicas = total('availableReplicas');
    const counts = {
      observedGeneration: deployment.metadata.generation ?? 0,
      replicas: total('replicas'),
      updatedReplicas: sets.find(({ metadata }) => metadata.name === current)?.status.replicas ?? 0,
      readyReplicas: total('readyReplicas'),
      availableReplicas,
      unavailableReplicas: Math.max(0, (deployment.spec.replicas ?? 0) - availableReplicas),
    };
    const now = timestamp(new Date());
    const count = (draft: Workload) => {
      const before = draft.status.conditions ?? [];
      const conditions = conditionsFor(deployment, counts).reduce(
        (list, next) => withCondition(list, next, now),
        before,
      );
      draft.status = { ...withoutZeros(counts), conditions };
    };
    this.operations.change(deployment, count, { subresource: 'status' });
  }
}

function conditionsFor(deployment: Workload, counts: WorkloadStatus): Condition[] {
  const { desired, unavailable } = boundsOf(deployment);
  const { replicas, updatedReplicas, availableReplicas = 0 } = counts;
  const enough = availableReplicas >= desired - unavailable;
  const done = [replicas, updatedReplicas, availableReplicas].every((number) => number === desired);
  const available = enough
    ? { status: 'True', reason: 'MinimumReplicasAvailable' }
    : { status: 'False', reason: 'MinimumReplicasUnavailable' };
  return [
    { type: 'Available', ...available },
    { type: 'Progressing', status: 'True', reason: done ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated' },
  ];
}

/** The same for equal templates, whatever the order of their fields. */
function hashOf(template: unknown): string {
  const sorted = (_: string, value: unknown) =>
    isJsonObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  const digest = createHash('sha256').update(JSON.stringify(template, sorted)).digest();
  return digest.readUInt32BE(0).toString(36);
}
