/** The status of a pod from the states of its containers: pure. */
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { withCondition } from '../api/kinds/conditions.ts';
import type { Condition } from '../api/kinds/typed.ts';
import type { PodAddresses } from './address-pool.ts';

export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message?: string }
  | { readonly kind: 'running'; readonly startedAt: string; readonly ready: boolean };

export interface ContainerReport {
  readonly name: string;
  readonly image: string;
  readonly state: ContainerState;
  readonly restarts: number;
}

export interface PodFacts {
  readonly node: NodePlan;
  readonly addresses: PodAddresses | undefined;
  readonly startTime: string;
  readonly containers: readonly ContainerReport[];
  /** Why the pod cannot run at all, if so. */
  readonly problem: string | undefined;
}

export function podStatus(facts: PodFacts, previous: readonly Condition[], now: string) {
  const { addresses, node, containers, problem, startTime } = facts;
  return {
    phase: podPhase(facts),
    startTime,
    hostIP: node.address,
    ...(addresses && { podIP: addresses.ipv4, podIPs: [{ ip: addresses.ipv4 }, { ip: addresses.ipv6 }] }),
    conditions: podConditions(facts, previous, now),
    containerStatuses: containers.map(containerStatus),
    ...(problem !== undefined && { message: problem }),
  };
}

export function podPhase({ containers, problem }: PodFacts): string {
  const ran = containers.some(({ state, restarts }) => state.kind === 'running' || restarts > 0);
  return ran && problem === undefined ? 'Running' : 'Pending';
}

export function podConditions(
  { containers, problem }: PodFacts,
  previous: readonly Condition[],
  now: string,
): readonly Condition[] {
  const missing = containers.filter((container) => !isReady(container)).map(({ name }) => name);
  const ready = containers.length > 0 && problem === undefined && missing.length === 0;
  const message = problem ?? `containers with unready status: [${missing.join(' ')}]`;
  const verdict = ready ? { status: 'True' } : { status: 'False', reason: 'ContainersNotReady', message };
  const said: readonly Condition[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'ContainersReady', ...verdict },
    { type: 'Ready', ...verdict },
  ];
  return said.reduce((list, condition) => withCondition(list, condition, now), previous);
}

function containerStatus(container: ContainerReport): object {
  const { name, image, restarts, state } = container;
  const { kind, ...detail } = state;
  return {
    name,
    image,
    ready: isReady(container),
    restartCount: restarts,
    state: kind === 'running' ? { running: { startedAt: state.startedAt } } : { waiting: detail },
  };
}

const isReady = ({ state }: ContainerReport): boolean => state.kind === 'running' && state.ready;
