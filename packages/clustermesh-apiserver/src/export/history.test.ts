/**
 * Order and history do not matter: the same facts in any order, repeated, and with other facts before them that are no
 * longer true, give the same entries.
 */
import assert from 'node:assert/strict';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import type { KubernetesPod } from '@tombolo/shared/kubernetes/pod-object.ts';
import { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { LocalEndpointSlice, LocalNamespace, LocalService, ServiceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import type { EntrySource } from './entries.ts';
import { EAST, endpoint, namespace, pod, service, slice } from './facts.fixture.ts';
import { IdentityNumbers } from './identity-numbers.ts';
import { NodeExport } from './node-export.ts';
import { PodExport } from './pod-export.ts';
import { ServiceExport } from './service-export.ts';

type Fact =
  | { readonly kind: 'service'; readonly key: string; readonly value: LocalService | undefined }
  | { readonly kind: 'slice'; readonly key: string; readonly value: LocalEndpointSlice | undefined }
  | { readonly kind: 'namespace'; readonly key: string; readonly value: LocalNamespace | undefined }
  | { readonly kind: 'pod'; readonly key: string; readonly value: KubernetesPod | undefined }
  | { readonly kind: 'node'; readonly key: string; readonly value: KubernetesNode | undefined };

const space = fc.constantFrom('a', 'b');
const name = fc.constantFrom('x', 'y', 'z');
const address = fc.constantFrom('10.1.0.1', '10.1.0.2', '10.1.0.3', 'fd00::1');
const labels = fc.constantFrom({}, { app: 'one' }, { app: 'two' });
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 4 });

const fact: fc.Arbitrary<Fact> = fc.oneof(
  fc
    .tuple(space, name, sometimes(fc.record({ shared: fc.boolean(), labels })))
    .map(
      ([ns, n, value]): Fact => ({ kind: 'service', key: `${ns}/${n}`, value: value && service(`${ns}/${n}`, value) }),
    ),
  fc
    .tuple(space, name, name, sometimes(fc.array(fc.record({ address, ready: fc.boolean() }), { maxLength: 3 })))
    .map(([ns, n, of, value]): Fact => {
      const endpoints = value?.map((each) => endpoint(each.address, { ready: each.ready, serving: each.ready }));
      return { kind: 'slice', key: `${ns}/${n}`, value: endpoints && slice(`${ns}/${n}`, `${ns}/${of}`, endpoints) };
    }),
  fc
    .tuple(space, sometimes(fc.record({ global: fc.constantFrom(true, false, undefined), labels })))
    .map(([ns, value]): Fact => ({ kind: 'namespace', key: ns, value: value && namespace(ns, value) })),
  fc
    .tuple(
      space,
      name,
      sometimes(
        fc.record({ addresses: fc.uniqueArray(address, { maxLength: 2 }), labels, day: fc.constantFrom(1, 2) }),
      ),
    )
    .map(([ns, n, value]): Fact => {
      const createdAt = `2026-01-0${value?.day}T00:00:00Z`;
      const parts = value && { labels: value.labels, createdAt, addresses: value.addresses.map(ip) };
      return { kind: 'pod', key: `${ns}/${n}`, value: parts && pod(`${ns}/${n}`, '10.1.0.1', parts) };
    }),
  fc.tuple(name, sometimes(fc.record({ labels, address }))).map(([n, value]): Fact => {
    const typedAddresses = value ? [{ type: 'InternalIP' as const, address: ip(value.address) }] : [];
    const rest = {
      zone: '',
      addresses: [],
      podCidrs: ['10.1.0.0/24'],
      typedAddresses,
      bootId: '',
      leaving: false,
      excludedFromLoadBalancers: false,
      uid: '',
      unreachable: false,
    };
    return { kind: 'node', key: n, value: value && { name: n, labels: value.labels, ...rest } };
  }),
);

/** All entries after the facts, having read the changes `every` so many of them. */
function entriesAfter(told: readonly Fact[], every: number): ReadonlyMap<string, string> {
  const facts = new LocalFacts(true);
  const numbers = new IdentityNumbers({ first: 65_536, last: 131_071 });
  const pods = new PodExport(EAST, facts, numbers);
  const services = new ServiceExport(EAST, facts, 1_500_000);
  const nodes = new NodeExport(EAST);
  const sources: Readonly<Record<string, EntrySource>> = { services, nodes, identities: pods.identities, ip: pods };
  const entries = new Map<string, string>();
  const read = () => {
    for (const [kind, source] of Object.entries(sources)) {
      for (const [suffix, value] of source.takeChanges(0)) {
        if (value === undefined) assert(entries.delete(`${kind}/${suffix}`), 'only what was said is taken back');
        else entries.set(`${kind}/${suffix}`, value);
      }
    }
  };
  for (const [i, { kind, key, value }] of told.entries()) {
    if (kind === 'service') facts.setService(key as ServiceKey, value);
    if (kind === 'slice') facts.setSlice(key, value);
    if (kind === 'namespace') facts.setNamespace(key, value);
    if (kind === 'pod') pods.podChanged(key, value);
    if (kind === 'node') nodes.nodeChanged(key, value);
    if (i % every === 0) read();
  }
  read();
  for (let i = 0; i < 15; i++) numbers.sweep();
  read();
  for (const [kind, source] of Object.entries(sources)) {
    assert.equal(source.size, [...entries.keys()].filter((key) => key.startsWith(`${kind}/`)).length);
  }
  return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The last fact about each object. */
function lastOf(facts: readonly Fact[]): readonly Fact[] {
  return [...new Map(facts.map((each) => [`${each.kind} ${each.key}`, each])).values()];
}

describe('exports', () => {
  it('give the same entries whatever came before, in any order, and however often', () => {
    fc.assert(
      fc.property(
        fc.array(fact, { maxLength: 60, size: 'max' }).chain((history) => {
          const last = lastOf(history);
          return fc.record({
            history: fc.constant(history),
            shuffled: fc.shuffledSubarray([...last, ...last], { minLength: last.length * 2 }),
            every: fc.integer({ min: 1, max: 5 }),
          });
        }),
        ({ history, shuffled, every }) => {
          const plain = entriesAfter(lastOf(history), 1000);
          assert.deepEqual(entriesAfter(history, every), plain);
          assert.deepEqual(entriesAfter(shuffled, every), plain);
        },
      ),
      { numRuns: 300 },
    );
  });
});
