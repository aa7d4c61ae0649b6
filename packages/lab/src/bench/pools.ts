/** `scripts/bench pools`: what it takes to decide who gets which address, with very many pools and Services. No network. */
import { AddressAllocator, type Claimant } from '@tombolo/clustermesh-apiserver/addresses/allocator.ts';
import { convertCiliumPool } from '@tombolo/shared/kubernetes/address-pool-objects.ts';
import type { Conversion } from '@tombolo/shared/kubernetes/conversion.ts';
import { convertLoadBalancerService } from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import { type Bench, type BenchResult, chosen, type Pair, summarise } from './results.ts';

const CASES = ['pools/10000', 'pool-edited/10000', 'services/10000', 'service-added/10000'] as const;
type Case = (typeof CASES)[number];

const DEFAULT_RUNS = 11;
const MANY = 10_000;
/** For Services. */
const POOLS = 100;
/** The baseline is so much smaller. */
const PART = 10;

export const pools: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const results: BenchResult[] = [];
  for (const one of chosen(cases, CASES)) {
    const pairs: Pair[] = [];
    // The first one is for the compiler.
    for (let run = 0; run <= runs; run += 1) {
      signal.throwIfAborted();
      const small = measure(one, MANY / PART);
      const value = measure(one, MANY);
      if (run > 0) pairs.push({ value, baseline: one.startsWith('service-added') ? small : small * PART });
    }
    const result = summarise(one, 'ms', 'lower', pairs);
    results.push(result);
    progress(`${one}: ${result.value} ms`);
  }
  const notes = [
    `ms of CPU; services: from nothing over ${POOLS} pools; service-added: one more; medians of ${runs} runs`,
    `baseline: with a tenth as many, times ten; of service-added, with a tenth as many`,
  ];
  return { bench: 'pools', results, skipped: [], notes };
};

/** Ms of CPU, those of the garbage collector included. */
function measure(one: Case, count: number): number {
  const allocator = new AddressAllocator();
  if (one.startsWith('pool')) {
    const all = Array.from({ length: count }, (_, i) => poolAt(i));
    if (one === 'pools/10000') return timed(() => allocator.setPools(all));
    allocator.setPools(all);
    all[count >> 1] = poolAt(count);
    return timed(() => allocator.setPools(all));
  }
  allocator.setPools(Array.from({ length: POOLS }, (_, i) => poolAt(i)));
  const claims = Array.from({ length: count }, (_, i) => claimOf(i));
  const give = (some: readonly (readonly [ServiceKey, Claimant])[]): void => {
    for (const [key, claimant] of some) allocator.setService(key, claimant);
    const { size } = allocator.settle();
    if (size !== some.length) throw new Error(`Cannot measure: expected ${some.length} decisions: there are ${size}`);
  };
  if (one === 'services/10000') return timed(() => give(claims));
  give(claims);
  const more = [claimOf(count)];
  return timed(() => give(more));
}

function timed(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const poolAt = (i: number): AddressPool =>
  valueIn(
    convertCiliumPool({
      metadata: { name: `pool-${i}`, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { blocks: [{ cidr: `10.${i >> 8}.${i & 255}.0/24` }] },
    }),
  );

function claimOf(i: number): readonly [ServiceKey, Claimant] {
  const name = `service-${i}`;
  const value = valueIn(
    convertLoadBalancerService({
      metadata: { name, namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { type: 'LoadBalancer', clusterIPs: ['10.96.0.7'], ipFamilies: ['IPv4'], ports: [{ port: 80 }] },
    }),
  );
  return [serviceKey('shop', name), value];
}

function valueIn<T>(converted: Conversion<T>): T {
  if (converted.kind !== 'value') throw new Error(`Cannot measure: expected an object that can be read`);
  return converted.value;
}
