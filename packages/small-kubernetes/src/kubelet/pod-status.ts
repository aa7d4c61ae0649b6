/** The status of a pod from the states of its containers: pure. */
import type { Pod, PodCondition } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { PodAddresses } from './address-pool.ts';
import { type ContainerReport, containerStatus } from './container-state.ts';

export interface PodFacts {
  readonly pod: Pod;
  readonly node: NodePlan;
  readonly addresses: PodAddresses | undefined;
  readonly startTime: string;
  readonly containers: readonly ContainerReport[];
  /** Why the pod cannot run at all, if so. */
  readonly problem: string | undefined;
}

export function podStatus(facts: PodFacts, previous: readonly PodCondition[], now: string): object {
  const { addresses, node, containers } = facts;
  return {
    phase: podPhase(facts),
    startTime: facts.startTime,
    hostIP: node.address,
    hostIPs: [{ ip: node.address }, { ip: node.address6 }],
    ...(addresses && { podIP: addresses.ipv4, podIPs: [{ ip: addresses.ipv4 }, { ip: addresses.ipv6 }] }),
    conditions: podConditions(facts, previous, now),
    containerStatuses: containers.map(containerStatus),
    qosClass: 'BestEffort',
    ...(facts.problem !== undefined && { message: facts.problem }),
  };
}

export function podPhase({ containers, pod, problem }: PodFacts): string {
  if (problem !== undefined) return 'Pending';
  const policy = pod.spec.restartPolicy ?? 'Always';
  const ended = containers.every(
    ({ state }) =>
      state.kind === 'terminated' && (policy === 'Never' || (policy === 'OnFailure' && state.exitCode === 0)),
  );
  if (ended && containers.length > 0)
    return containers.every(({ state }) => state.kind === 'terminated' && state.exitCode === 0)
      ? 'Succeeded'
      : 'Failed';
  return containers.some(({ state, restarts }) => state.kind !== 'waiting' || restarts > 0) ? 'Running' : 'Pending';
}

/** A condition that says the same as before keeps its moment of transition. */
export function podConditions(facts: PodFacts, previous: readonly PodCondition[], now: string): PodCondition[] {
  const { containers, problem } = facts;
  const runs = containers.length > 0 && problem === undefined;
  const ready = runs && containers.every(({ state }) => state.kind === 'running' && state.ready);
  const unready = ready ? {} : { reason: 'ContainersNotReady', message: problem ?? unreadyNames(containers) };
  const said: Omit<PodCondition, 'lastTransitionTime'>[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'Initialized', status: 'True' },
    { type: 'ContainersReady', status: ready ? 'True' : 'False', ...unready },
    { type: 'Ready', status: ready ? 'True' : 'False', ...unready },
  ];
  return said.map((condition) => {
    const before = previous.find(({ type }) => type === condition.type);
    return { ...condition, lastTransitionTime: before?.status === condition.status ? before.lastTransitionTime : now };
  });
}

function unreadyNames(containers: readonly ContainerReport[]): string {
  const names = containers.filter(({ state }) => state.kind !== 'running' || !state.ready).map(({ name }) => name);
  return `containers with unready status: [${names.join(' ')}]`;
}
