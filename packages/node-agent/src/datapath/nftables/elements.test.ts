import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { FrontendKind } from '@tombolo/shared/model/service-table.ts';
import { headElements, isClusterIp, isPointer, isSamePlaced, limitOf, sameServed } from './elements.ts';
import { ServedTable } from './plan.ts';
import { SETS } from './sets.ts';
import { place, type Served, servedId } from './slots.ts';

const ADDRESSES: Readonly<Record<FrontendKind, readonly string[]>> = {
  ClusterIP: ['10.96.0.1', 'fd96::1'],
  ExternalIP: ['192.0.2.7', 'fd00:7::7'],
  LoadBalancer: ['198.51.100.1', 'fd00:7::8'],
  NodePort: ['0.0.0.0', '::'],
};

const served = (kind: FrontendKind, address: string, backends = 1): Served => ({
  frontend: { kind, address: ip(address), port: 80, protocol: 'TCP' },
  clients: 'all',
  ranges: [],
  affinitySeconds: 0,
  backends: Array.from({ length: backends }, (_, at) => ({
    address: ip(address.includes(':') ? `fd00::${at + 1}` : `10.1.0.${at + 1}`),
    port: 8080,
    clusterId: 1,
  })),
});

describe('headElements()', () => {
  const setsOf = (each: Served) => {
    const table = new ServedTable();
    const plan = table.plan(new Map([[servedId(each), each]]));
    table.commit(plan);
    return [...table.frontends.values()].flatMap((placed) => headElements(placed)).map(({ set, key }) => [set, ...key]);
  };

  for (const kind of ['ExternalIP', 'LoadBalancer', 'NodePort'] as const) {
    // Whoever comes through these is masqueraded where the backend is on another node: its answer must pass here again.
    it(`has what comes to a ${kind} masqueraded, in both families`, () => {
      for (const address of ADDRESSES[kind]) {
        assert.deepEqual(setsOf(served(kind, address)), [
          ['services', address, 'tcp', 80],
          ['external', address, 'tcp', 80],
        ]);
      }
    });
  }

  it('leaves clients of a ClusterIP as they are', () => {
    for (const address of ADDRESSES.ClusterIP) {
      assert.deepEqual(setsOf(served('ClusterIP', address)), [['services', address, 'tcp', 80]]);
    }
  });

  it('keeps an address of a load balancer for whom its ranges name, and nobody else', () => {
    const guarded = { ...served('LoadBalancer', '198.51.100.1'), ranges: ['10.0.0.0/8', '192.0.2.0/24'] };
    assert.deepEqual(setsOf(guarded), [
      ['allowed', '198.51.100.1', 'tcp', 80, '10.0.0.0/8'],
      ['allowed', '198.51.100.1', 'tcp', 80, '192.0.2.0/24'],
      ['guarded', '198.51.100.1', 'tcp', 80],
      ['services', '198.51.100.1', 'tcp', 80],
      ['external', '198.51.100.1', 'tcp', 80],
    ]);
  });

  it('leads clients outside apart, or nowhere', () => {
    const outside = (backends: number): Served => ({ ...served('NodePort', '0.0.0.0', backends), clients: 'outside' });
    assert.deepEqual(setsOf(outside(0)), [['outside', '0.0.0.0', 'tcp', 80]]);
    assert.deepEqual(setsOf(outside(1)), [
      ['outside', '0.0.0.0', 'tcp', 80],
      ['outside-services', '0.0.0.0', 'tcp', 80],
    ]);
  });

  it('refuses at once what has no backends, of whatever kind', () => {
    for (const kind of ['ClusterIP', 'ExternalIP', 'LoadBalancer', 'NodePort'] as const) {
      for (const address of ADDRESSES[kind]) {
        assert.deepEqual(setsOf(served(kind, address, 0)), [['refused', address, 'tcp', 80]]);
      }
    }
  });
});

const some = served('LoadBalancer', '198.51.100.1', 2);
const none = served('LoadBalancer', '198.51.100.1', 0);
const backendsOf = (change: Partial<RouteBackend>): Served => ({
  ...some,
  backends: some.backends.map((backend, i) => (i === 1 ? { ...backend, ...change } : backend)),
});

describe('sameServed()', () => {
  it('takes for the same what looks so in the kernel', () => {
    assert.ok(sameServed(undefined, undefined));
    assert.ok(sameServed(some, backendsOf({})));
    assert.ok(sameServed(some, { ...some, affinitySeconds: 0, ranges: [] }));
    // What leads nowhere has neither affinity nor ranges.
    assert.ok(sameServed(none, { ...none, affinitySeconds: 60, ranges: ['10.0.0.0/8'] }));
  });

  const others: readonly (readonly [name: string, other: Served | undefined])[] = [
    ['nothing', undefined],
    ['another kind', { ...some, frontend: { ...some.frontend, kind: 'ExternalIP' } }],
    ['less backends', { ...some, backends: some.backends.slice(1) }],
    ['more backends', served('LoadBalancer', '198.51.100.1', 3)],
    ['another address', backendsOf({ address: ip('10.1.0.9') })],
    ['another port', backendsOf({ port: 9 })],
    ['another cluster', backendsOf({ clusterId: 9 })],
    ['affinity', { ...some, affinitySeconds: 60 }],
    ['ranges', { ...some, ranges: ['10.0.0.0/8'] }],
  ];
  for (const [name, other] of others) {
    it(`takes ${name} for a change`, () => {
      assert.ok(!sameServed(some, other));
      assert.ok(!sameServed(other, some));
    });
  }
});

describe('isSamePlaced()', () => {
  const placed = place(undefined, { ...some, affinitySeconds: 60 });
  const slots = placed.slots.toReversed();

  it('takes slots and what clients are remembered by into account', () => {
    assert.ok(isSamePlaced(placed, { ...placed, slots: [...placed.slots], ids: [...placed.ids] }));
    assert.ok(!isSamePlaced(placed, undefined));
    assert.ok(!isSamePlaced(placed, { ...placed, affinitySeconds: 61 }));
    assert.ok(!isSamePlaced(placed, { ...placed, slots }));
    assert.ok(!isSamePlaced(placed, { ...placed, ids: placed.ids.toReversed() }));
    assert.ok(!isSamePlaced(placed, { ...placed, ids: [...placed.ids, 1] }));
    assert.ok(!isSamePlaced({ ...placed, ids: [...placed.ids, 1] }, placed));
    assert.ok(
      !isSamePlaced(placed, {
        ...placed,
        slots: [placed.slots[0] ?? assert.fail(), ...slots.slice(0, 1)],
        ids: [placed.ids[0] ?? 0, 7],
      }),
    );
  });
});

describe('isClusterIp()', () => {
  it('is true of cluster IPs, once', () => {
    const of = (kind: FrontendKind, clients: Served['clients']): boolean =>
      isClusterIp({ ...some, frontend: { ...some.frontend, kind }, clients });
    assert.ok(of('ClusterIP', 'all'));
    assert.ok(!of('ClusterIP', 'outside') && !of('NodePort', 'all') && !of('LoadBalancer', 'all'));
  });
});

describe('limitOf()', () => {
  it('names what is too much, and how much may be', () => {
    const many = (count: number): Served => ({ ...some, backends: new Array(count).fill(some.backends[0]) });
    assert.equal(limitOf(many(32_767)), undefined);
    assert.match(limitOf(many(32_768)) ?? '', /^expected at most 32767 backends: current value is 32768$/);
    assert.equal(limitOf({ ...some, affinitySeconds: 86_400 }), undefined);
    assert.match(limitOf({ ...some, affinitySeconds: 86_401 }) ?? '', /^expected session affinity of at most 86400 s/);
  });
});

describe('isPointer()', () => {
  it('is true of what decides about a packet, and of nothing else', () => {
    assert.deepEqual(SETS.filter(isPointer), ['services', 'refused', 'outside', 'outside-services']);
  });
});
