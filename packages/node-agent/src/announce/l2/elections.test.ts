import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { addressAt } from '@tombolo/shared/model/address-range.ts';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import type { L2Advertisement } from '@tombolo/shared/model/l2-advertisement.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import type { ServiceAddress } from '../service-address.ts';
import { advertisement } from './advertisement.fixture.ts';
import { answersAt, electAll, Ranks, type SpeakerNode } from './elections.ts';

const VIP = ip('192.0.2.1');

const node = (name: string, fields: Partial<SpeakerNode> = {}): SpeakerNode => ({
  ...{ name, labels: { name }, isExcluded: false, isReady: true, interfaces: ['eth0'] },
  ...fields,
});
const address = (fields: Partial<ServiceAddress> = {}): ServiceAddress => ({
  ...{ service: serviceKey('shop', 'cart'), labels: {}, kind: 'LoadBalancer', address: VIP, policy: 'Cluster' },
  ...{ loadBalancerClass: '', isShared: false, pools: [], servingNodes: new Set<string>(), isServed: true },
  obstacle: undefined,
  drains: false,
  anycast: false,
  remoteOnly: undefined,
  ...fields,
});
const named = (...names: readonly string[]) => [{ key: 'name', operator: 'In' as const, values: names }];

const elect = (
  sharing: readonly ServiceAddress[],
  advertisements: readonly L2Advertisement[],
  nodes: readonly SpeakerNode[],
  of: IpAddress = VIP,
) => electAll(new Map([[of, sharing]]), advertisements, nodes, new Ranks()).get(of) ?? assert.fail();

const many = (count: number) =>
  new Map(
    Array.from({ length: count }, (_, i) => addressAt(4, 0xc000_0200n + BigInt(i))).map((of) => [
      of,
      [address({ address: of })],
    ]),
  );

const hash = (name: string, of: IpAddress): string => createHash('sha256').update(`${name}#${of}`).digest('hex');

describe('the election of who answers for an address', () => {
  it('takes the node whose name hashes lowest, as MetalLB does, and knows who would be next', () => {
    // Worked out with sha256sum: printf 'a#192.0.2.1' | sha256sum, and so on.
    const nodes = ['a', 'b', 'c', 'd'].map((name) => node(name));
    const order = nodes.map(({ name }) => name).sort((x, y) => (hash(x, VIP) < hash(y, VIP) ? -1 : 1));
    const { owner, second, obstacle } = elect([address()], [advertisement()], nodes);
    assert.deepEqual([owner, second, obstacle], [order[0], order[1], undefined]);
  });

  it('says why nobody does', () => {
    const all = [advertisement()];
    const cases: readonly [string, readonly ServiceAddress[], readonly L2Advertisement[], readonly SpeakerNode[]][] = [
      ['otherClass', [address({ obstacle: 'otherClass' })], all, [node('a')]],
      ['noEndpoints', [address({ isServed: false })], all, [node('a')]],
      ['noEndpoints', [address({ policy: 'Local' })], all, [node('a')]],
      ['noAdvertisement', [address()], [], [node('a')]],
      ['noAdvertisement', [address({ kind: 'ExternalIP' })], all, [node('a')]],
      ['noNode', [address()], [advertisement({ nodes: [named('b')] })], [node('a')]],
      ['noNode', [address()], all, [node('a', { isReady: false }), node('b', { isExcluded: true })]],
      ['noNode', [address({ policy: 'Local', servingNodes: new Set(['b']) })], all, [node('a')]],
      ['noInterface', [address()], [advertisement({ interfaces: [{ name: 'eth1' }] })], [node('a')]],
    ];
    for (const [reason, sharing, advertisements, nodes] of cases) {
      const { owner, obstacle } = elect(sharing, advertisements, nodes);
      assert.deepEqual([owner, obstacle], [undefined, reason]);
    }
  });

  it('prefers what advertisements prefer, together', () => {
    const nodes = ['a', 'b', 'c'].map((name) => node(name));
    const prefers = (weight: number, ...names: readonly string[]) =>
      advertisement({ preferences: [{ weight, nodes: named(...names) }] });
    assert.equal(elect([address()], [prefers(10, 'b')], nodes).owner, 'b');
    assert.equal(elect([address()], [prefers(10, 'b'), prefers(6, 'c'), prefers(5, 'c', 'a')], nodes).owner, 'c');
    // Once each, for however many of those that share the address it is.
    const sharing = [address(), address({ policy: 'Local', servingNodes: new Set(['a']) })];
    const both = [
      { weight: 2, nodes: named('a') },
      { weight: 3, nodes: named('b') },
    ];
    assert.equal(elect(sharing, [advertisement({ preferences: both })], nodes).owner, 'b');
  });

  it('answers at the interfaces that the advertisements for that node name', () => {
    const ads = [
      advertisement({ nodes: [named('a')], interfaces: [{ name: 'eth0' }] }),
      advertisement({ nodes: [named('b')], interfaces: [{ expression: /th1/ }] }),
    ];
    const election = elect([address()], ads, [node('a'), node('b', { interfaces: ['eth0', 'eth1'] })]);
    const at = (name: string) => ['eth0', 'eth1'].filter((each) => answersAt(election, name, each));
    assert.deepEqual([at('a'), at('b'), at('c')], [['eth0'], ['eth1'], []]);
  });

  it('counts a node whose interfaces nobody has told as one that has them', () => {
    const ads = [advertisement({ interfaces: [{ name: 'eth1' }] })];
    assert.equal(elect([address()], ads, [node('a', { interfaces: undefined })]).owner, 'a');
  });

  it('announces an address that Services share if one of them is announced', () => {
    const blue = advertisement({ services: [[{ key: 'color', operator: 'In', values: ['blue'] }]] });
    const sharing = [address({ isShared: true }), address({ isShared: true, labels: { color: 'blue' } })];
    assert.equal(elect(sharing, [blue], [node('a')]).owner, 'a');
    assert.equal(elect(sharing.slice(0, 1), [blue], [node('a')]).obstacle, 'noAdvertisement');
  });

  it('leaves to other clusters what they alone can serve, if the Service wants it', () => {
    const [withdraws, lower] = [address({ remoteOnly: 'withdraw' }), address({ remoteOnly: 'lower-preference' })];
    assert.equal(elect([withdraws], [advertisement()], [node('a')]).obstacle, 'remoteOnly');
    assert.equal(elect([lower], [advertisement()], [node('a')]).owner, 'a');
    assert.equal(elect([withdraws, address()], [advertisement()], [node('a')]).owner, 'a');
  });

  const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
  const PORTS = ['eth0', 'eth1', 'veth0'];
  const COLORS = ['red', 'blue'];
  const someOf = (all: readonly string[]) => fc.subarray([...all], { minLength: 1 });
  const anyWorld = fc.record({
    nodes: fc.array(
      fc.record({
        name: fc.constantFrom(...NAMES),
        isReady: fc.boolean(),
        isExcluded: fc.boolean(),
        interfaces: fc.option(fc.subarray(PORTS), { nil: undefined }),
      }),
    ),
    ads: fc.array(
      fc.record({
        color: fc.option(fc.constantFrom(...COLORS)),
        nodes: fc.option(someOf(NAMES)),
        preferences: fc.array(fc.record({ weight: fc.integer({ min: 1, max: 3 }), names: someOf(NAMES) }), {
          maxLength: 2,
        }),
        interfaces: fc.subarray(PORTS),
      }),
      { maxLength: 3 },
    ),
    sharing: fc.array(
      fc.record({
        color: fc.constantFrom(...COLORS),
        policy: fc.constantFrom('Cluster' as const, 'Local' as const),
        serving: fc.subarray(NAMES),
        isServed: fc.boolean(),
        isOthers: fc.boolean(),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    last: fc.integer({ min: 1, max: 250 }),
  });
  type World = typeof anyWorld extends fc.Arbitrary<infer W> ? W : never;

  /** By MetalLB's rules, node by node, but that interfaces count, and each of those that share an address. */
  function naiveOrder({ nodes, ads, sharing, last }: World): readonly string[] {
    const points = new Map<string, number>();
    for (const { name, isReady, isExcluded, interfaces } of nodes) {
      if (!isReady || isExcluded) continue;
      const own = ads.filter(
        (ad) =>
          (ad.nodes?.includes(name) ?? true) &&
          sharing.some(
            ({ color, policy, serving, isServed, isOthers }) =>
              !isOthers && (ad.color ?? color) === color && (policy === 'Local' ? serving.includes(name) : isServed),
          ),
      );
      const fits = own.some((ad) =>
        (interfaces ?? PORTS).some((port) => ad.interfaces.length === 0 || ad.interfaces.includes(port)),
      );
      if (!fits) continue;
      const weights = own.flatMap(({ preferences }) => preferences.filter(({ names }) => names.includes(name)));
      points.set(
        name,
        weights.reduce((sum, { weight }) => sum + weight, 0),
      );
    }
    const of = ip(`192.0.2.${last}`);
    return [...points.keys()].sort(
      (x, y) => (points.get(y) ?? 0) - (points.get(x) ?? 0) || (hash(x, of) < hash(y, of) ? -1 : 1),
    );
  }

  it('is what a naive election gives, in whatever order all is told', () => {
    fc.assert(
      fc.property(anyWorld, (drawn) => {
        const byName = new Map(drawn.nodes.map((each) => [each.name, each]));
        const world = { ...drawn, nodes: [...byName.values()] };
        const of = ip(`192.0.2.${world.last}`);
        const ads = world.ads.map(({ color, nodes, preferences, interfaces }) =>
          advertisement({
            services: color === null ? [] : [[{ key: 'color', operator: 'In', values: [color] }]],
            nodes: nodes ? [named(...nodes)] : [],
            preferences: preferences.map(({ weight, names }) => ({ weight, nodes: named(...names) })),
            interfaces: interfaces.map((name) => ({ name })),
          }),
        );
        const sharing = world.sharing.map(({ color, policy, serving, isServed, isOthers }) =>
          address({
            ...{ address: of, labels: { color }, policy, servingNodes: new Set(serving), isServed, isShared: true },
            obstacle: isOthers ? 'otherClass' : undefined,
          }),
        );
        const nodes = world.nodes.map(({ name, ...fields }) => node(name, fields));
        const [first, second] = naiveOrder(world);
        for (const [told, said] of [[nodes, ads] as const, [nodes.toReversed(), ads.toReversed()] as const]) {
          const election = elect(sharing, said, told, of);
          assert.deepEqual([election.owner, election.second], [first, second]);
          assert.equal(election.obstacle === undefined, first !== undefined);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('moves no address of others when a node goes', () => {
    const nodes = Array.from({ length: 20 }, (_, i) => node(`node-${i}`));
    const addresses = many(500);
    const before = electAll(addresses, [advertisement()], nodes, new Ranks());
    const after = electAll(addresses, [advertisement()], nodes.slice(1), new Ranks());
    const owners = new Set<string | undefined>();
    for (const [of, { owner, second }] of before) {
      const now = after.get(of)?.owner;
      assert.equal(now, owner === 'node-0' ? second : owner);
      if (owner === 'node-0') owners.add(now);
    }
    assert.ok(owners.size > 5, 'they are spread over the others');
  });

  it('spreads 10,000 addresses over 100 nodes', () => {
    const nodes = Array.from({ length: 100 }, (_, i) => node(`node-${i}`));
    const [addresses, ranks] = [many(10_000), new Ranks()];
    for (const standing of [nodes, nodes.slice(1), nodes]) {
      const elections = electAll(addresses, [advertisement()], standing, ranks);
      const owners = Map.groupBy(elections.values(), ({ owner }) => owner);
      assert.equal(owners.size, standing.length, 'every node has some');
    }
  }).timeout(60_000);
});
