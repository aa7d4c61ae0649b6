/**
 * Many agents over a network that fails in every way: each decides for itself, as `layer2.ts` does, and the kernel of each
 * answers while it is the owner by its own view and its lease holds. `L2_SIMULATIONS` sets how many histories are run.
 */
import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import type { ServiceAddress } from '../service-address.ts';
import { advertisement } from './advertisement.fixture.ts';
import { electAll, Ranks } from './elections.ts';
import { DEAD_MS, INTERVAL_MS, LISTEN_MS, Membership } from './membership.ts';

const RUNS = Number(process.env['L2_SIMULATIONS'] ?? 300);
/** On a machine that does much else. */
const PATIENCE_MS = 120_000;
const NAMES = ['a', 'b', 'c', 'd', 'e'];
const ADDRESSES = [1, 2, 3, 4].map((n) => ip(`192.0.2.${n}`));
const LINKS = [{ name: 'eth0', mac: '02:00:5e:00:53:01' }];
/** Agents do not all speak at the same time. */
const STEP_MS = INTERVAL_MS / NAMES.length;
const LEASE_MS = DEAD_MS - 100;
/** Who is not heard any more is dead, says so by then, and is dead then to who heard it still; others are told a turn later. */
const AGREE_MS = 2 * DEAD_MS + 4 * INTERVAL_MS;
const SETTLE_MS = LISTEN_MS + AGREE_MS;

const sharing = new Map(
  ADDRESSES.map((address): [typeof address, ServiceAddress[]] => [
    address,
    [
      {
        ...{ service: serviceKey('shop', 'cart'), labels: {}, kind: 'LoadBalancer', address, policy: 'Cluster' },
        ...{ loadBalancerClass: '', isShared: false, pools: [], servingNodes: new Set(), isServed: true },
        obstacle: undefined,
        drains: false,
        anycast: false,
        remoteOnly: undefined,
      },
    ],
  ]),
);
const ALL = [advertisement()];

class Agent {
  readonly membership: Membership;
  readonly startedAt: number;
  isHanging = false;
  owned: readonly string[] = [];
  leaseUntil = 0;
  view = '';
  readonly #name: string;
  readonly #ranks = new Ranks();

  constructor(name: string, boot: string, now: number) {
    this.#name = name;
    this.startedAt = now;
    this.membership = new Membership(name, boot);
    this.membership.setNodes(NAMES);
  }

  isReady(now: number): boolean {
    return now - this.startedAt >= LISTEN_MS;
  }

  turn(now: number): void {
    const members = this.membership.judge(now);
    if (this.isReady(now)) this.leaseUntil = now + LEASE_MS;
    const nodes = NAMES.map((name) => {
      const isReady = name === this.#name ? this.isReady(now) : (members.get(name)?.isReady ?? false);
      return { name, labels: {}, isExcluded: false, isReady, interfaces: ['eth0'] };
    });
    const view = JSON.stringify(nodes);
    if (view === this.view) return;
    this.view = view;
    const elections = electAll(sharing, ALL, nodes, this.#ranks);
    this.owned = ADDRESSES.filter((address) => elections.get(address)?.owner === this.#name);
  }
}

class World {
  readonly agents = new Map<string, Agent>();
  /** Ways that let nothing through, as `from to`. */
  readonly cut = new Set<string>();
  now = 0;
  #boots = 0;

  start(name: string): void {
    this.agents.set(name, new Agent(name, `boot-${++this.#boots}`, this.now));
  }

  /** `isLost` is asked about each datagram; `look` is called after each step. */
  run(ms: number, isLost: () => boolean = () => false, look: () => void = () => {}): void {
    for (let until = this.now + ms; this.now < until; look()) {
      this.now += STEP_MS;
      const name = NAMES[(this.now / STEP_MS) % NAMES.length] ?? '';
      const agent = this.agents.get(name);
      if (!agent || agent.isHanging) continue;
      agent.turn(this.now);
      this.#tell(name, agent, isLost);
    }
  }

  #tell(from: string, agent: Agent, isLost: () => boolean): void {
    const about = { isReady: agent.isReady(this.now), links: LINKS, ...agent.membership.hearsay(this.now) };
    for (const to of NAMES) {
      if (to === from) continue;
      const heartbeat = { ...agent.membership.addressed(to, this.now), ...about };
      const other = this.agents.get(to);
      if (!other || other.isHanging || this.cut.has(`${from} ${to}`) || isLost()) continue;
      other.membership.heard(heartbeat, this.now);
    }
  }

  /** Whose kernel answers for it. */
  answering(address: string): readonly string[] {
    return [...this.agents]
      .filter(([, { owned, leaseUntil }]) => owned.includes(address) && leaseUntil >= this.now)
      .map(([name]) => name);
  }

  /** Agents that hear each other both ways, by whatever others. */
  parts(): readonly (readonly string[])[] {
    const left = new Set([...this.agents].filter(([, { isHanging }]) => !isHanging).map(([name]) => name));
    const parts: (readonly string[])[] = [];
    for (const first of left) {
      const part = new Set([first]);
      for (const name of part) for (const other of left) if (this.#hear(name, other)) part.add(other);
      for (const name of part) left.delete(name);
      parts.push([...part]);
    }
    return parts;
  }

  /** Any two hear each other, or both hear a third: what one agent passes on, the next does not. */
  isClose(part: readonly string[]): boolean {
    return part.every((a) =>
      part.every((b) => this.#hear(a, b) || part.some((via) => this.#hear(a, via) && this.#hear(via, b))),
    );
  }

  #hear(a: string, b: string): boolean {
    return !this.cut.has(`${a} ${b}`) && !this.cut.has(`${b} ${a}`);
  }
}

type Event =
  | { readonly kind: 'start' | 'crash' | 'hang' | 'go on'; readonly node: string }
  | { readonly kind: 'split'; readonly side: readonly string[] }
  | { readonly kind: 'cut'; readonly ways: readonly string[] }
  | { readonly kind: 'heal' };

const WAYS = NAMES.flatMap((from) => NAMES.filter((to) => to !== from).map((to) => `${from} ${to}`));
const anyNode = fc.constantFrom(...NAMES);
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom('start', 'crash', 'hang', 'go on'), node: anyNode }),
  fc.record({ kind: fc.constant('split'), side: fc.subarray(NAMES, { minLength: 1, maxLength: NAMES.length - 1 }) }),
  fc.record({ kind: fc.constant('cut'), ways: fc.subarray(WAYS, { minLength: 1, maxLength: 6 }) }),
  fc.record({ kind: fc.constant('heal') }),
);
const anyHistory = fc.array(
  fc.record({ event: anyEvent, forMs: fc.nat(4_000), isLossy: fc.boolean(), losses: fc.infiniteStream(fc.nat(4)) }),
  { maxLength: 8 },
);

function happen(world: World, event: Event): void {
  if (event.kind === 'start') world.start(event.node);
  if (event.kind === 'crash') world.agents.delete(event.node);
  if (event.kind === 'heal' || event.kind === 'split') world.cut.clear();
  const agent = 'node' in event ? world.agents.get(event.node) : undefined;
  if (agent && event.kind === 'hang') agent.isHanging = true;
  if (agent && event.kind === 'go on') agent.isHanging = false;
  if (event.kind === 'cut') for (const way of event.ways) world.cut.add(way);
  if (event.kind !== 'split') return;
  const isAcross = (way: string) => event.side.includes(way.charAt(0)) !== event.side.includes(way.charAt(2));
  for (const way of WAYS.filter(isAcross)) world.cut.add(way);
}

/** One answers in each part, and nobody who hangs; where agents are too far from each other to agree, at least one. */
function check(world: World): void {
  const parts = world.parts();
  for (const address of ADDRESSES) {
    const answering = world.answering(address);
    for (const part of parts) {
      const here = answering.filter((name) => part.includes(name));
      assert.ok(here.length === 1 || (here.length > 1 && !world.isClose(part)), `${address}: ${here} of ${part}`);
    }
    assert.deepEqual(
      answering.filter((name) => !parts.flat().includes(name)),
      [],
    );
  }
}

describe('many agents over a network that fails', () => {
  it('one of each part answers for each address when things have settled, and nobody who hangs', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const world = new World();
        for (const name of NAMES) world.start(name);
        world.run(SETTLE_MS);
        check(world);
        for (const { event, forMs, isLossy, losses } of history) {
          happen(world, event);
          let quietSince = world.now;
          const isLost = (): boolean => {
            if (isLossy) quietSince = world.now;
            return isLossy && losses.next().value === 0;
          };
          world.run(forMs, isLost, () => {
            if (world.now - quietSince > SETTLE_MS) check(world);
          });
        }
        world.run(SETTLE_MS);
        check(world);
      }),
      { numRuns: RUNS },
    );
  }).timeout(PATIENCE_MS);

  it('two do not answer for longer than a lease while all hear each other, whoever crashes or hangs', () => {
    const kinds = fc.constantFrom('start' as const, 'crash' as const, 'hang' as const);
    const history = fc.array(fc.record({ kind: kinds, node: anyNode, forMs: fc.nat(3_000) }), { maxLength: 10 });
    fc.assert(
      fc.property(history, (events) => {
        const world = new World();
        for (const name of NAMES) world.start(name);
        world.run(SETTLE_MS);
        const since = new Map<string, number>();
        for (const { kind, node, forMs } of events) {
          happen(world, { kind, node });
          for (const until = world.now + forMs; world.now < until; ) {
            world.run(STEP_MS);
            for (const address of ADDRESSES) {
              if (world.answering(address).length < 2) since.delete(address);
              else if (!since.has(address)) since.set(address, world.now);
              // Who hangs does not hear who comes; who hears him leaves in the next turn.
              assert.ok(world.now - (since.get(address) ?? world.now) <= LEASE_MS, `${world.answering(address)}`);
            }
          }
        }
      }),
      { numRuns: RUNS },
    );
  }).timeout(PATIENCE_MS);
});
