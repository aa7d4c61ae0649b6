/**
 * Deployments: one ReplicaSet for each pod template, replicas moved from old to new within the bounds of the strategy,
 * revisions for `kubectl rollout`, and a status. `minReadySeconds` and the progress deadline are not timed.
 */
import { createHash } from 'node:crypto';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import {
  type Condition,
  type Pod,
  type PodTemplate,
  tables,
  type Workload,
  type WorkloadStatus,
} from '../api/kinds/typed.ts';
import { controllerOf, draftOf, type OwnerReference, timestamp } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { keyOf, spaceOf } from '../api/store.ts';
import { withCondition } from './conditions.ts';
import { boundsOf, planRollout } from './rollout.ts';
import { WorkQueue } from './work-queue.ts';

const HASH = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';

export class DeploymentController {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stops: readonly (() => void)[];

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    const { store } = operations;
    this.#queue = new WorkQueue((key) => this.#reconcile(key), log);
    this.#stops = [
      store.subscribe(tables.deployments, ({ object }) => this.#queue.mark(keyOf(object))),
      store.subscribe(tables.replicaSets, ({ object }) => {
        const owner = controllerOf(object);
        if (owner?.kind === 'Deployment') this.#queue.mark(`${spaceOf(object)}/${owner.name}`);
      }),
      // Recreate waits for the last old pod.
      store.subscribe(tables.pods, ({ type, object }) => {
        if (type === 'DELETED') this.#markOwnerOf(object as Pod);
      }),
    ];
    for (const deployment of store.all(tables.deployments)) this.#queue.mark(keyOf(deployment));
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#queue.close();
  }

  #markOwnerOf(pod: Pod): void {
    const set = this.#operations.store.get(tables.replicaSets, spaceOf(pod), controllerOf(pod)?.name ?? '');
    const owner = set && controllerOf(set);
    if (owner?.kind === 'Deployment') this.#queue.mark(`${spaceOf(pod)}/${owner.name}`);
  }

  #reconcile(key: string): void {
    const [namespace = '', name = ''] = key.split('/');
    const deployment = this.#operations.store.get(tables.deployments, namespace, name) as Workload | undefined;
    if (!deployment || deployment.metadata.deletionTimestamp !== undefined) return;
    const sets = this.#setsOf(deployment);
    const hash = templateHash(deployment.spec.template);
    const current = sets.find((set) => set.metadata.labels?.[HASH] === hash) ?? this.#createSet(deployment, hash, sets);
    if (!current) return;
    const old = sets.filter((set) => set.metadata.uid !== current.metadata.uid);
    const revised = this.#keepRevision(deployment, current, old);
    this.#roll(revised, current, old);
    this.#forgetHistory(deployment, old);
    this.#writeStatus(revised, this.#setsOf(deployment), current.metadata.uid);
  }

  #setsOf(deployment: Workload): Workload[] {
    const sets = this.#operations.store.list(tables.replicaSets, spaceOf(deployment)) as Workload[];
    return sets.filter((set) => controllerOf(set)?.uid === deployment.metadata.uid);
  }

  /** A paused Deployment starts no new rollout. */
  #createSet(deployment: Workload, hash: string, sets: readonly Workload[]): Workload | undefined {
    if (deployment.spec.paused && sets.length > 0) return undefined;
    const { metadata, spec } = deployment;
    const { metadata: templateMetadata = {}, spec: podSpec } = draftOf(spec.template);
    const labels = { ...templateMetadata.labels, [HASH]: hash };
    return this.#operations.createObject({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${metadata.name}-${hash}`,
        namespace: spaceOf(deployment),
        labels,
        annotations: { [REVISION]: String(highestRevision(sets) + 1) },
        ownerReferences: [ownerFor(deployment)],
      },
      spec: {
        replicas: 0,
        selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [HASH]: hash } },
        template: { metadata: { ...templateMetadata, labels }, spec: podSpec },
      },
    }) as Workload;
  }

  /** A template that was rolled back to becomes the newest revision again. */
  #keepRevision(deployment: Workload, current: Workload, old: readonly Workload[]): Workload {
    const newest = highestRevision(old) + 1;
    const own = revisionOf(current);
    const revision = Math.max(own, newest);
    const annotate = ({ metadata }: Workload) => {
      metadata.annotations = { ...metadata.annotations, [REVISION]: String(revision) };
    };
    if (own !== revision) this.#operations.change(current, annotate);
    return revisionOf(deployment) === revision ? deployment : this.#operations.change(deployment, annotate);
  }

  #roll(deployment: Workload, current: Workload, old: readonly Workload[]): void {
    const { replicas } = planRollout(deployment, current, old, this.#podsLeft(deployment, old));
    for (const set of [current, ...old]) {
      const count = replicas.get(set.metadata.name);
      if (count === undefined) continue;
      this.#operations.change(set, ({ spec }) => {
        spec.replicas = count;
      });
    }
  }

  #podsLeft(deployment: Workload, old: readonly Workload[]): number {
    const uids = new Set(old.map(({ metadata }) => metadata.uid));
    const pods = [...this.#operations.store.all(tables.pods, spaceOf(deployment))];
    return pods.filter((pod) => uids.has(controllerOf(pod)?.uid ?? '')).length;
  }

  #forgetHistory({ spec }: Workload, old: readonly Workload[]): void {
    const ended = old.filter(({ spec, status }) => spec.replicas === 0 && !status.replicas);
    const surplus = ended.length - (spec.revisionHistoryLimit ?? 10);
    if (surplus <= 0) return;
    const oldest = [...ended].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, surplus);
    for (const set of oldest) this.#operations.deleteObject(set);
  }

  #writeStatus(deployment: Workload, sets: readonly Workload[], currentUid: string): void {
    const current = sets.find(({ metadata }) => metadata.uid === currentUid);
    const total = (count: (status: WorkloadStatus) => number | undefined) =>
      sets.reduce((sum, { status }) => sum + (count(status) ?? 0), 0);
    const replicas = total((status) => status.replicas);
    const availableReplicas = total((status) => status.availableReplicas);
    const counts = {
      observedGeneration: deployment.metadata.generation ?? 0,
      replicas,
      updatedReplicas: current?.status.replicas ?? 0,
      readyReplicas: total((status) => status.readyReplicas),
      availableReplicas,
      unavailableReplicas: Math.max(0, (deployment.spec.replicas ?? 0) - availableReplicas),
    };
    const now = timestamp(this.#operations.now());
    this.#operations.change(
      deployment,
      (draft) => {
        const conditions = conditionsFor(deployment, counts, current?.metadata.name ?? '').reduce(
          (list, condition) => withCondition(list, condition, now),
          draft.status.conditions ?? [],
        );
        draft.status = { ...counts, conditions };
      },
      { subresource: 'status' },
    );
  }
}

function conditionsFor(
  deployment: Workload,
  counts: Required<Pick<WorkloadStatus, 'replicas' | 'updatedReplicas' | 'availableReplicas'>>,
  name: string,
): Condition[] {
  const { desired, unavailable } = boundsOf(deployment);
  const enough = counts.availableReplicas >= desired - unavailable;
  const done =
    counts.updatedReplicas === desired && counts.replicas === desired && counts.availableReplicas === desired;
  return [
    enough
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    {
      type: 'Progressing',
      status: 'True',
      reason: done ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
      message: done ? `ReplicaSet "${name}" has successfully progressed.` : `ReplicaSet "${name}" is progressing.`,
    },
  ];
}

const revisionOf = ({ metadata }: Workload): number => Number(metadata.annotations?.[REVISION] ?? 0);
const highestRevision = (sets: readonly Workload[]): number => Math.max(0, ...sets.map(revisionOf));

/** The same for equal templates, whatever the order of their fields. */
function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256').update(canonical(template)).digest();
  return digest.readUInt32BE(0).toString(36);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined && inner !== null);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`)
    .join(',')}}`;
}

const ownerFor = ({ metadata }: Workload): OwnerReference => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});
