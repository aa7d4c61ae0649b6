import assert from 'node:assert/strict';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { type ContainerState, type PodFacts, podConditions, podPhase } from './pod-status.ts';

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
const ended: ContainerState = { kind: 'waiting', reason: 'CrashLoopBackOff' };

function facts(states: readonly ContainerState[], restarts = 0): PodFacts {
  const containers = states.map((state, index) => ({ name: `c${index}`, image: 'i', state, restarts }));
  return { node, addresses: undefined, startTime: 't0', containers, problem: undefined };
}

describe('podPhase()', () => {
  const cases: [string, PodFacts, string][] = [
    ['no container yet', facts([]), 'Pending'],
    ['still creating', facts([{ kind: 'waiting', reason: 'ContainerCreating' }]), 'Pending'],
    ['running, ready or not', facts([running(false)]), 'Running'],
    ['ended, but to start again', facts([ended], 1), 'Running'],
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
      ['True', 'False', 'False'],
    );
  });

  it('keeps the moment of transition while nothing changes', () => {
    const before = podConditions(facts([running(true)]), [], 'then');
    assert.equal(ready([running(true)], before)?.lastTransitionTime, 'then');
    assert.equal(ready([running(false)], before)?.lastTransitionTime, 'now');
  });
});
