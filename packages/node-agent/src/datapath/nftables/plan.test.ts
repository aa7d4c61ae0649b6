import assert from 'node:assert/strict';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import fc from 'fast-check';
import { backendElement, choiceElement, choiceOf, elementsOf, type Served } from './elements.ts';
import { readListing } from './listing.ts';
import { NaiveTables } from './naive-tables.ts';
import { type Operation, type ServedChanges, ServedTable, standingOperations } from './plan.ts';
import { FAMILIES } from './ruleset.ts';

const frontends: readonly Frontend[] = [
  { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' },
  { kind: 'LoadBalancer', address: ip('10.96.0.1'), port: 443, protocol: 'TCP' },
  { kind: 'ClusterIP', address: ip('10.96.0.2'), port: 53, protocol: 'UDP' },
  { kind: 'NodePort', address: ip('0.0.0.0'), port: 30080, protocol: 'TCP' },
  { kind: 'ExternalIP', address: ip('fd96::1'), port: 80, protocol: 'TCP' },
  { kind: 'NodePort', address: ip('::'), port: 30080, protocol: 'SCTP' },
];

const addresses = (six: boolean): readonly IpAddress[] =>
  ['1', '2', '3', '4'].map((end) => ip(six ? `fd00::${end}` : `10.1.0.${end}`));

/** Any state of one frontend; undefined: not served. */
const state = (frontend: Frontend): fc.Arbitrary<Served | undefined> =>
  fc.option(
    fc.record({
      frontend: fc.constant(frontend),
      affinitySeconds: fc.constantFrom(0, 0, 60, 10_800),
      backends: fc
        .subarray([...addresses(frontend.address.includes(':'))])
        .chain((chosen) =>
          fc.tuple(
            ...chosen.map((a) =>
              fc.record({ address: fc.constant(a), port: fc.constantFrom(80, 81), clusterId: fc.constantFrom(1, 2) }),
            ),
          ),
        ),
    }),
    { nil: undefined },
  );

/** Changes of some frontends at once. */
const step: fc.Arbitrary<ServedChanges> = fc
  .subarray([...frontends], { minLength: 1 })
  .chain((some) => fc.tuple(...some.map((frontend) => state(frontend).map((s) => [frontendId(frontend), s] as const))))
  .map((entries) => new Map(entries));

function emptyTables(): NaiveTables {
  const tables = new NaiveTables();
  for (const family of FAMILIES) tables.apply(standingOperations(family));
  return tables;
}

function apply(table: ServedTable, tables: NaiveTables, changes: ServedChanges): void {
  const { first, second } = table.plan(changes);
  tables.apply(first);
  tables.apply(second);
  table.commit(changes);
}

const expected = (served: Served | undefined): readonly string[] =>
  served === undefined
    ? ['not ours']
    : served.backends.length === 0
      ? ['refused']
      : served.backends.map(({ address, port }) => `${address} . ${String(port)}`);

describe('ServedTable.plan()', () => {
  it('serves every frontend as desired after any history, and leaves the same tables as no history', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (history) => {
        const [table, tables] = [new ServedTable(), emptyTables()];
        for (const changes of history) apply(table, tables, changes);
        const desired = new Map(history.flatMap((changes) => [...changes]));
        for (const frontend of frontends) {
          assert.deepEqual(tables.outcomes(frontend), expected(desired.get(frontendId(frontend))));
        }
        const fresh = emptyTables();
        apply(new ServedTable(), fresh, desired);
        assert.deepEqual(sorted(tables), sorted(fresh));
      }),
      { numRuns: 150 },
    );
  });

  it('switches in the first transaction, and keeps every slot of the old choice until the second', () => {
    fc.assert(
      fc.property(step, step, (before, changes) => {
        const [table, tables] = [new ServedTable(), emptyTables()];
        apply(table, tables, before);
        const old = new Map(tables.elements);
        tables.apply(table.plan(changes).first);
        const after = new Map([...before, ...changes]);
        for (const frontend of frontends) {
          const served = after.get(frontendId(frontend));
          assert.deepEqual(tables.outcomes(frontend), expected(served));
          assertReachable(tables, old, frontend, [before.get(frontendId(frontend)), served]);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('plans nothing for what is so already', () => {
    fc.assert(
      fc.property(step, (changes) => {
        const table = new ServedTable();
        table.commit(changes);
        assert.deepEqual(table.plan(changes), { first: [], second: [] });
      }),
    );
  });

  it('plan() changes nothing by itself', () => {
    const table = new ServedTable();
    const changes = new Map([['x', { frontend: frontends[0] as Frontend, backends: [], affinitySeconds: 0 }]]);
    assert.deepEqual(table.plan(changes), table.plan(changes));
  });
});

describe('readListing()', () => {
  it('finds what was written, and finds it intact', () => {
    fc.assert(
      fc.property(step, (changes) => {
        const served = [...changes.values()].filter((one) => one !== undefined);
        const v4 = served.filter(({ frontend }) => !frontend.address.includes(':'));
        const { elements, chains } = listed(v4);
        const listing = readListing(elements, chains);
        assert.equal(listing.intact, true);
        assert.deepEqual(new Set(listing.served.map(normal)), new Set(v4.map(normal)));
      }),
    );
  });

  it('notices an element or chain that is lost, left over or changed', () => {
    fc.assert(
      fc.property(step, fc.nat(), fc.constantFrom('lost', 'changed', 'chain'), (changes, at, what) => {
        const served = [...changes.values()].filter((one) => one !== undefined);
        const { elements, chains } = listed(served.filter(({ frontend }) => !frontend.address.includes(':')));
        const victim = elements[at % elements.length];
        assert.ok(victim);
        // A refused frontend is this one element: without it the frontend is simply not served, and `replace` adds it.
        fc.pre(!(victim.set === 'refused' && what === 'lost'));
        const others = elements.filter((element) => element !== victim);
        const damaged = what === 'changed' ? [...others, { ...victim, comment: 'x' }] : others;
        const listing = what === 'chain' ? readListing(elements, [...chains, 'tcp-99']) : readListing(damaged, chains);
        assert.equal(listing.intact, false);
      }),
    );
  });
});

/** A packet that read the old choice still finds all of its slots, with backends of the old or of the new set. */
function assertReachable(
  tables: NaiveTables,
  old: NaiveTables['elements'],
  frontend: Frontend,
  states: readonly (Served | undefined)[],
): void {
  const possible = new Set(states.flatMap(expected));
  // `refused` is asked first: the switch may come after it, or after `services` too.
  for (const isOld of [/ refused /, / (services|refused) /]) {
    const mixed = new NaiveTables();
    for (const chain of tables.chains) mixed.chains.add(chain);
    for (const [id, element] of tables.elements) if (!isOld.test(id)) mixed.elements.set(id, element);
    for (const [id, element] of old) if (isOld.test(id)) mixed.elements.set(id, element);
    for (const outcome of mixed.outcomes(frontend)) {
      assert.ok(possible.has(outcome), `${outcome} of ${frontendId(frontend)}`);
    }
  }
}

const sorted = (tables: NaiveTables): unknown => [[...tables.elements].sort(), [...tables.chains].sort()];

/** In the kernel a frontend without backends has no affinity. */
const normal = (served: Served): string =>
  JSON.stringify([served.frontend, served.backends, served.backends.length === 0 ? 0 : served.affinitySeconds]);

function listed(served: readonly Served[]) {
  const standing: readonly Operation[] = standingOperations('ip');
  const elements = new Map(
    [
      ...standing.flatMap((operation) => (operation.kind === 'element' ? [operation.element] : [])),
      ...served.flatMap((one) => [
        ...elementsOf(one),
        ...one.backends.map((backend) => backendElement(backend.address)),
        ...[choiceOf(one)].flatMap((choice) => (choice === undefined ? [] : [choiceElement(choice)])),
      ]),
    ].map((element) => [`${element.set} ${element.key}`, element]),
  );
  const tables = new NaiveTables();
  const table = new ServedTable();
  tables.apply(standing);
  tables.apply(table.plan(new Map(served.map((one) => [frontendId(one.frontend), one]))).first);
  return { elements: [...elements.values()], chains: [...tables.chains].map((name) => name.replace('ip ', '')) };
}
