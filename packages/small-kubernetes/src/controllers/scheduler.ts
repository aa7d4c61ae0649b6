/**
 * Gives each pod without a node the next Ready node, round robin, that its nodeSelector allows. Looks again at pods that
 * found no node whenever a node changes. Counts no resources and knows no taints.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { isTrue, withCondition } from '../api/kinds/conditions.ts';
import { type Node, type Pod, tables } from '../api/kinds/typed.ts';
import { matchesMap } from '../api/label-selector.ts';
import { timestamp } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { keyOf } from '../api/store.ts';
import { Controller } from './controller.ts';

export class Scheduler extends Controller {
  #turn = 0;

  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    const look = (pod: Pod) => {
      if (isWaiting(pod)) this.mark(keyOf(pod));
    };
    this.follow(tables.pods, ({ object }) => look(object as Pod));
    this.follow(tables.nodes, () => (this.store.list(tables.pods) as Pod[]).forEach(look));
  }

  protected reconcile(key: string): void {
    const pod = this.store.find(tables.pods, key) as Pod | undefined;
    if (!pod || !isWaiting(pod)) return;
    const nodes = this.store.list(tables.nodes) as Node[];
    const candidates = nodes.filter((node) => accepts(node, pod));
    const chosen = candidates[this.#turn % candidates.length];
    if (!chosen) this.#sayUnschedulable(pod, nodes.length);
    else this.operations.change(pod, ({ spec }) => void Object.assign(spec, { nodeName: chosen.metadata.name }));
    this.#turn++;
  }

  #sayUnschedulable(pod: Pod, nodes: number): void {
    const message = `0/${nodes} nodes are available: none is Ready and matches the node selector.`;
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
    const said = ({ status }: Pod) => {
      status.conditions = withCondition(status.conditions ?? [], condition, timestamp(new Date()));
    };
    this.operations.change(pod, said, { subresource: 'status', manager: 'kube-scheduler' });
  }
}

const isWaiting = ({ spec, metadata, status }: Pod): boolean =>
  !spec.nodeName && metadata.deletionTimestamp === undefined && status.phase === 'Pending';

const accepts = ({ metadata, spec, status }: Node, pod: Pod): boolean =>
  !spec.unschedulable && isTrue(status?.conditions, 'Ready') && matchesMap(pod.spec.nodeSelector, metadata.labels);
