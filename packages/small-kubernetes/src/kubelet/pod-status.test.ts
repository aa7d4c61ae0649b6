import assert from 'node:assert/strict';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { ContainerState } from './container-state.ts';
import { type PodFacts, podConditions, podPhase } from './pod-status.ts';

const node: NodePlan = {
  netns: 'east-1',
  address: '10.0.1.1',
  address6: 'fd00::1:1',
  link: 'n1',
  cgroup: '/cg/east-1',
  name: 'east-1',
  cluster: 'east',
  zone: 'east-a',
  podCidr: '10.1.1.0/24',
  podCidr6: 'fd00:1:1::/64',
  gateway: '10.1.1.1',
  gateway6: 'fd00:1:1::1',
  directory: '/t',
  agentSocket: '/t/agent.sock',
  bpfDirectory: '/t/bpf',
  api: { socket: '/t/api.sock' },
};

const running = (ready: boolean): ContainerState => ({ kind: 'running', startedAt: 't0', ready });
const ended = (exitCode: number): ContainerState => ({
  kind: 'terminated',
  exitCode,
  reason: exitCode === 0 ? 'Completed' : 'Error',
  startedAt: 't0',
  finishedAt: 't1',
});

function facts(
  states: readonly ContainerState[],
  restartPolicy: 'Always' | 'OnFailure' | 'Never' = 'Always',
): PodFacts {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', uid: 'u', resourceVersion: '1' },
    spec: { restartPolicy, containers: [] },
  };
  const containers = states.map((state, index) => ({
    name: `c${index}`,
    image: 'i',
    state,
    last: undefined,
    restarts: 0,
  }));
  return {
    pod,
    node: node as NonNullable<typeof node>,
    addresses: undefined,
    startTime: 't0',
    containers,
    problem: undefined,
  };
}

describe('podPhase()', () => {
  const cases: [string, PodFacts, string][] = [
    ['no container yet', facts([]), 'Pending'],
    ['still creating', facts([{ kind: 'waiting', reason: 'ContainerCreating' }]), 'Pending'],
    ['running, ready or not', facts([running(false)]), 'Running'],
    ['ended, but to start again', facts([ended(1)]), 'Running'],
    ['ended well for good', facts([ended(0), ended(0)], 'Never'), 'Succeeded'],
    ['one of two ended badly for good', facts([ended(0), ended(3)], 'Never'), 'Failed'],
    ['one still runs', facts([ended(0), running(true)], 'Never'), 'Running'],
    ['failed, to be tried again', facts([ended(1)], 'OnFailure'), 'Running'],
    ['done on failure', facts([ended(0)], 'OnFailure'), 'Succeeded'],
    ['cannot run at all', { ...facts([running(true)]), problem: 'no' }, 'Pending'],
  ];
  for (const [what, given, phase] of cases)
    it(`${what}: ${phase}`, () => {
      assert.equal(podPhase(given), phase);
    });
});

describe('podConditions()', () => {
  const ready = (states: readonly ContainerState[], previous = podConditions(facts([]), [], 'never')) =>
    podConditions(facts(states), previous, 'now').find(({ type }) => type === 'Ready');

  it('is ready only when all containers are', () => {
    assert.equal(ready([running(true), running(true)])?.status, 'True');
    const half = ready([running(true), running(false)]);
    assert.deepEqual([half?.status, half?.reason], ['False', 'ContainersNotReady']);
    assert.match(half?.message ?? '', /\[c1\]/);
  });

  it('is not ready before it has containers, nor when it cannot run', () => {
    assert.equal(ready([])?.status, 'False');
    const broken = podConditions({ ...facts([running(true)]), problem: 'no address' }, [], 'now');
    assert.deepEqual(
      broken.map(({ status }) => status),
      ['True', 'True', 'False', 'False'],
    );
  });

  it('keeps the moment of transition while nothing changes', () => {
    const before = podConditions(facts([running(true)]), [], 'then');
    assert.equal(ready([running(true)], before)?.lastTransitionTime, 'then');
    assert.equal(ready([running(false)], before)?.lastTransitionTime, 'now');
  });
});
