/**
 * Random histories of pools, Services and restarts. What must hold is said here again from what users are promised, over
 * every single address, and knows nothing of how the allocator works.
 */
import assert from 'node:assert/strict';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { AddressAllocator, type Outcome } from './allocator.ts';
import { ciliumPool, claim, DUAL, key, metallbPool, type ServiceParts } from './claims.fixture.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

/** A Service as it is written, without what it got. */
interface Written {
  readonly namespace: 'shop' | 'bank';
  readonly color: 'red' | 'blue';
  readonly families: 'v4' | 'v6' | 'prefers' | 'requires';
  readonly wanted: string;
  readonly share: { readonly product: 'cilium' | 'metallb'; readonly across: boolean } | undefined;
  readonly port: 80 | 81;
  readonly isLocal: boolean;
}

interface Pool {
  readonly product: 'cilium' | 'metallb';
  readonly name: 'p' | 'q' | 'r';
  /** Last bytes of the addresses that it has, in 192.0.2.0/24 and in 2001:db8::/64. */
  readonly v4: readonly [number, number];
  readonly v6: readonly [number, number] | undefined;
  readonly color: 'red' | 'blue' | undefined;
  readonly isOff: boolean;
  readonly age: 1 | 2 | 3;
}

type Step =
  | { readonly kind: 'service'; readonly name: (typeof NAMES)[number]; readonly value: Written | undefined }
  | { readonly kind: 'pools'; readonly value: readonly Pool[] }
  /** Kubernetes shows what was decided. */
  | { readonly kind: 'echo' }
  | { readonly kind: 'restart' };

const anyWritten: fc.Arbitrary<Written> = fc.record({
  namespace: fc.constantFrom('shop', 'bank'),
  color: fc.constantFrom('red', 'blue'),
  families: fc.constantFrom('v4', 'v4', 'v6', 'prefers', 'requires'),
  wanted: fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    fc.nat(9).map((last) => `192.0.2.${last}`),
  ),
  share: fc.option(
    fc.record({ product: fc.constantFrom('cilium' as const, 'metallb' as const), across: fc.boolean() }),
    { nil: undefined },
  ),
  port: fc.constantFrom(80, 81),
  isLocal: fc.boolean(),
});

const anyBounds = fc
  .tuple(fc.nat(8), fc.nat(3))
  .map(([first, more]): readonly [number, number] => [1 + first, Math.min(9, 1 + first + more)]);

const anyPool = (name: Pool['name']): fc.Arbitrary<Pool> =>
  fc.record({
    product: fc.constantFrom('cilium' as const, 'metallb' as const),
    name: fc.constant(name),
    v4: anyBounds,
    v6: fc.option(anyBounds, { nil: undefined }),
    color: fc.option(fc.constantFrom('red' as const, 'blue' as const), { nil: undefined }),
    isOff: fc.boolean(),
    age: fc.constantFrom(1, 2, 3),
  });

const anyPools: fc.Arbitrary<readonly Pool[]> = fc
  .tuple(anyPool('p'), anyPool('q'), anyPool('r'), fc.nat(3))
  .map(([p, q, r, count]) => [p, q, r].slice(0, count));

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('service' as const),
      name: fc.constantFrom(...NAMES),
      value: fc.option(anyWritten, { nil: undefined, freq: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pools' as const), value: anyPools }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'echo' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);

function poolObject({ product, name, v4, v6, color, isOff, age }: Pool): AddressPool {
  const selector = { matchLabels: { color: color ?? '' } };
  const ranges = [v4.map((last) => `192.0.2.${last}`), ...(v6 ? [v6.map((last) => `2001:db8::${last}`)] : [])];
  const createdAt = `2026-01-0${age}T00:00:00Z`;
  if (product === 'cilium') {
    const blocks = ranges.map(([start, stop]) => ({ start, stop }));
    return ciliumPool(name, { blocks, disabled: isOff, ...(color && { serviceSelector: selector }) }, createdAt);
  }
  const addresses = ranges.map(([start, stop]) => `${start}-${stop}`);
  const serviceAllocation = color && { serviceSelectors: [selector] };
  return metallbPool(name, { addresses, autoAssign: !isOff, serviceAllocation }, createdAt);
}

function partsOf(written: Written, held: readonly string[], isOurs: boolean): ServiceParts {
  const { namespace, color, families, wanted, share, port, isLocal } = written;
  const policy = families === 'prefers' ? 'PreferDualStack' : 'RequireDualStack';
  const sharing: Record<string, string> =
    share?.product === 'cilium'
      ? {
          'lbipam.cilium.io/sharing-key': 'k',
          ...(share.across && { 'lbipam.cilium.io/sharing-cross-namespace': '*' }),
        }
      : share
        ? { 'metallb.io/allow-shared-ip': 'k' }
        : {};
  return {
    ...{ namespace, held, isOurs, labels: { color } },
    annotations: { ...sharing, ...(wanted !== '' && { 'lbipam.cilium.io/ips': wanted }) },
    spec: {
      ports: [{ port }],
      selector: { app: 'x' },
      externalTrafficPolicy: isLocal ? 'Local' : 'Cluster',
      ...(families === 'v6' && { ipFamilies: ['IPv6'] }),
      ...(families === 'prefers' || families === 'requires' ? { ...DUAL, ipFamilyPolicy: policy } : {}),
    },
  };
}

/** From what Cilium's and MetalLB's users are told. */
function mayShare(a: Written, b: Written): boolean {
  if (!a.share || !b.share || a.share.product !== b.share.product) return false;
  if (a.port === b.port || a.isLocal !== b.isLocal) return false;
  return a.share.product === 'metallb' || a.namespace === b.namespace || (a.share.across && b.share.across);
}

const lastOf = (address: string): number => Number(address.split(/[.:]/).at(-1));
const has = ({ v4, v6 }: Pool, address: string): boolean => {
  const [first, last] = (address.includes(':') ? v6 : v4) ?? [1, 0];
  return first <= lastOf(address) && lastOf(address) <= last;
};
const overlap = (a: Pool, b: Pool): boolean =>
  a.product === b.product && ALL.some((address) => has(a, address) && has(b, address));
const ALL = Array.from({ length: 9 }, (_, i) => [`192.0.2.${1 + i}`, `2001:db8::${1 + i}`]).flat();

describe('AddressAllocator, whatever happens', () => {
  /** What is written, and what was decided about it. */
  class World {
    allocator = new AddressAllocator();
    pools: readonly Pool[] = [];
    readonly written = new Map<string, Written>();
    readonly given = new Map<string, readonly string[]>();
    readonly reasons = new Map<string, string>();
    readonly keys = new Map<string, ServiceKey>();

    take(step: Step): void {
      const touched = new Set<string>();
      if (step.kind === 'service') {
        touched.add(step.name);
        this.write(step.name, step.value);
      } else if (step.kind === 'pools') {
        this.pools = step.value;
        this.allocator.setPools(this.pools.map(poolObject));
      } else {
        if (step.kind === 'restart') {
          this.allocator = new AddressAllocator();
          this.allocator.setPools(this.pools.map(poolObject));
        }
        for (const [name, value] of this.written) this.tell(name, value);
      }
      const before = new Map(this.given);
      this.hear(this.allocator.settle());
      this.check(before, touched);
    }

    write(name: string, value: Written | undefined): void {
      const old = this.keys.get(name);
      const now = value && key(name, value.namespace);
      // Of another namespace it is another Service.
      if (old && old !== now) {
        this.allocator.setService(old, undefined);
        for (const facts of [this.given, this.reasons, this.written, this.keys]) facts.delete(name);
      }
      if (!value || !now) return;
      this.keys.set(name, now);
      this.written.set(name, value);
      this.tell(name, value);
    }

    tell(name: string, value: Written): void {
      const parts = partsOf(value, this.given.get(name) ?? [], this.reasons.has(name));
      this.allocator.setService(key(name, value.namespace), claim(name, parts));
    }

    hear(outcomes: ReadonlyMap<ServiceKey, Outcome>): void {
      for (const [each, outcome] of outcomes) {
        const name = each.split('/')[1] ?? '';
        if (outcome === 'withdraw') assert.fail('nobody stops being a load balancer here');
        this.given.set(name, outcome.addresses);
        this.reasons.set(name, outcome.reason);
      }
    }

    check(before: ReadonlyMap<string, readonly string[]>, touched: ReadonlySet<string>): void {
      for (const [name, addresses] of this.given) {
        const mine = this.written.get(name) ?? assert.fail(name);
        for (const [other, theirs] of this.given) {
          if (other >= name || !theirs.some((address) => addresses.includes(address))) continue;
          assert.ok(
            mayShare(mine, this.written.get(other) ?? assert.fail(other)),
            `${name} and ${other} have one address`,
          );
        }
        for (const address of touched.has(name) ? [] : (before.get(name) ?? [])) {
          assert.ok(addresses.includes(address), `${name} lost ${address}, and was not touched`);
        }
        if (mine.wanted !== '')
          assert.ok(
            addresses.every((address) => address === mine.wanted),
            `${name} did not want it`,
          );
        const families = addresses.map((address) => address.includes(':'));
        assert.equal(new Set(families).size, families.length, `${name} has two of a family`);
        if (mine.families === 'requires' && mine.wanted === '' && (before.get(name) ?? []).length === 0) {
          assert.notEqual(addresses.length, 1, `${name} requires both`);
        }
        this.checkMissing(name, mine, addresses);
      }
    }

    /** Who has nothing could not have any address that there is; for Services of one family. */
    checkMissing(name: string, mine: Written, addresses: readonly string[]): void {
      if (addresses.length > 0 || !['v4', 'v6'].includes(mine.families)) return;
      const family = ALL.filter((address) => address.includes(':') === (mine.families === 'v6'));
      const wanted = mine.wanted === '' ? family : family.filter((address) => address === mine.wanted);
      const byAge = [...this.pools].sort((a, b) => a.age - b.age || (a.name < b.name ? -1 : 1));
      const sound: Pool[] = [];
      for (const pool of byAge) if (!sound.some((older) => overlap(older, pool))) sound.push(pool);
      const giving = sound.filter(
        ({ product, isOff, color }) =>
          (color === undefined || color === mine.color) &&
          // One that is not given out by itself is given to who asks for an address.
          (!isOff || (product === 'metallb' && mine.wanted !== '')),
      );
      for (const address of wanted.filter((each) => giving.some((pool) => has(pool, each)))) {
        const users = [...this.given].filter(([, theirs]) => theirs.includes(address));
        const isFree = users.every(([other]) => mayShare(mine, this.written.get(other) ?? assert.fail()));
        assert.ok(!isFree, `${name} has nothing (${this.reasons.get(name)}), and ${address} is free for it`);
      }
    }
  }

  it('gives nothing twice, takes nothing away, and leaves nobody without what there is', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 5, maxLength: 30 }), (steps) => {
        const world = new World();
        for (const step of steps) world.take(step);
      }),
      { numRuns: 1_000 },
    );
  });
});
