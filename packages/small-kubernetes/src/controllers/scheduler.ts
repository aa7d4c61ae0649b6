/**
 * Gives each pod without a node the next Ready node, round robin, that its nodeSelector and the node's taints allow.
 * Looks again at pods that found no node whenever a node changes. Counts no resources.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Condition, isTrue, type Node, type Pod, tables } from '../api/kinds/typed.ts';
import { timestamp } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { keyOf } from '../api/store.ts';
import { withCondition } from './conditions.ts';
import { WorkQueue } from './work-queue.ts';

export class Scheduler {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stops: readonly (() => void)[];
  #turn = 0;

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    const { store } = operations;
    this.#queue = new WorkQueue((key) => this.#schedule(key), log);
    this.#stops = [
      store.subscribe(tables.pods, ({ object }) => {
        if (isWaiting(object as Pod)) this.#queue.mark(keyOf(object));
      }),
      store.subscribe(tables.nodes, () => this.#markWaiting()),
    ];
    this.#markWaiting();
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#queue.close();
  }

  #markWaiting(): void {
    for (const pod of this.#operations.store.all(tables.pods)) if (isWaiting(pod as Pod)) this.#queue.mark(keyOf(pod));
  }

  #schedule(key: string): void {
    const { store } = this.#operations;
    const [namespace = '', name = ''] = key.split('/');
    const pod = store.get(tables.pods, namespace, name) as Pod | undefined;
    if (!pod || !isWaiting(pod)) return;
    const nodes = store.list(tables.nodes) as Node[];
    const candidates = nodes.filter((node) => accepts(node, pod));
    const chosen = candidates[this.#turn % candidates.length];
    if (!chosen) {
      const message = `0/${nodes.length} nodes are available: none is Ready and matches the node selector and taints.`;
      this.#say(pod, { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message });
      return;
    }
    this.#turn++;
    const bound = this.#operations.change(pod, (draft) => {
      draft.spec.nodeName = chosen.metadata.name;
    });
    this.#say(bound, { type: 'PodScheduled', status: 'True' });
  }

  #say(pod: Pod, condition: Condition): void {
    const now = timestamp(this.#operations.now());
    this.#operations.change(
      pod,
      ({ status }) => {
        status.conditions = withCondition(status.conditions, condition, now);
      },
      { subresource: 'status' },
    );
  }
}

const isWaiting = ({ spec, metadata, status }: Pod): boolean =>
  !spec.nodeName && metadata.deletionTimestamp === undefined && status.phase === 'Pending';

function accepts({ metadata, spec, status }: Node, pod: Pod): boolean {
  if (spec.unschedulable || metadata.deletionTimestamp !== undefined || !isTrue(status?.conditions, 'Ready'))
    return false;
  const labels = metadata.labels ?? {};
  if (!Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return false;
  return (spec.taints ?? [])
    .filter(({ effect }) => effect !== 'PreferNoSchedule')
    .every((taint) =>
      (pod.spec.tolerations ?? []).some(
        ({ key, operator, effect, value }) =>
          (effect === undefined || effect === taint.effect) &&
          (key === undefined ? operator === 'Exists' : key === taint.key) &&
          (operator === 'Exists' || (value ?? '') === (taint.value ?? '')),
      ),
    );
}
