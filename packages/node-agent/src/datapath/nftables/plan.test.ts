import assert from 'node:assert/strict';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import fc from 'fast-check';
import { choiceChain } from './choices.ts';
import { type Element, encodeElement } from './element-codec.ts';
import { familyOfFrontend } from './elements.ts';
import { FAMILIES, type Family } from './family.ts';
import { NaiveTables } from './naive-tables.fixture.ts';
import { Operations, type TableOperation } from './operations.ts';
import { type ServedChanges, ServedTable } from './plan.ts';
import { SETS } from './sets.ts';
import { type Placed, type Served, servedId } from './slots.ts';
import { type TableContents, TableReader } from './table-reader.ts';

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

/** A frontend, and for whom. */
type Place = Pick<Served, 'frontend' | 'clients'>;
const places: readonly Place[] = frontends.flatMap((frontend) => [
  { frontend, clients: 'all' } as const,
  ...(frontend.kind === 'ClusterIP' ? [] : [{ frontend, clients: 'outside' } as const]),
]);

const anyRanges = fc.subarray(['10.0.0.0/8', '192.0.2.0/24', '198.51.100.7/32']);

/** Any state of one of them; undefined: not served. */
const state = ({ frontend, clients }: Place): fc.Arbitrary<Served | undefined> =>
  fc.option(
    fc.record({
      frontend: fc.constant(frontend),
      clients: fc.constant(clients),
      ranges: clients === 'all' && frontend.kind === 'LoadBalancer' ? anyRanges : fc.constant([]),
      affinitySeconds: fc.constantFrom(0, 0, 60, 10_800),
      backends: fc
        .subarray([...addresses(frontend.address.includes(':'))])
        .chain((chosen) =>
          fc.tuple(
            ...chosen.map((a) =>
              fc.tuple(
                fc.record({ address: fc.constant(a), port: fc.constantFrom(80, 81), clusterId: fc.constantFrom(1, 2) }),
                fc.constantFrom(1, 1, 1, 2, 3),
              ),
            ),
          ),
        )
        // Several shares of one backend stand in so many slots.
        .map((chosen) => chosen.flatMap(([backend, shares]) => Array.from({ length: shares }, () => backend))),
    }),
    { nil: undefined },
  );

/** Changes of some frontends at once. */
const step: fc.Arbitrary<ServedChanges> = fc
  .subarray([...places], { minLength: 1 })
  .chain((some) => fc.tuple(...some.map((place) => state(place).map((s) => [servedId(place), s] as const))))
  .map((entries) => new Map(entries));

function emptyTables(): NaiveTables {
  const tables = new NaiveTables();
  return tables;
}

function apply(table: ServedTable, tables: NaiveTables, changes: ServedChanges): void {
  const plan = table.plan(changes);
  tables.apply(plan.first);
  tables.apply(plan.second);
  table.commit(plan);
}

function everything(table: ServedTable): readonly TableOperation[] {
  const operations = new Operations();
  new ServedTable().adopt(table.frontends.values(), operations);
  return operations.list();
}

const choicesOf = (served: Served): readonly string[] =>
  served.backends.map(({ address, port }) => `${address} . ${String(port)}`);

/** What may happen to those clients. */
function expected(state: ReadonlyMap<string, Served | undefined>, { frontend, clients }: Place): readonly string[] {
  const all = state.get(frontendId(frontend));
  const outside = clients === 'outside' ? state.get(servedId({ frontend, clients })) : undefined;
  if (all?.backends.length === 0) return ['refused'];
  if (outside) return outside.backends.length === 0 ? ['dropped'] : choicesOf(outside);
  return all ? choicesOf(all) : ['not ours'];
}

describe('ServedTable.plan()', () => {
  it('serves every frontend as desired after any history, and leaves the same tables as no history but for the order of slots', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (history) => {
        const [table, tables] = [new ServedTable(), emptyTables()];
        for (const changes of history) apply(table, tables, changes);
        const desired = new Map(history.flatMap((changes) => [...changes]));
        for (const place of places) {
          assert.deepEqual(tables.outcomes(place).toSorted(), expected(desired, place).toSorted());
        }
        const [fresh, again] = [emptyTables(), emptyTables()];
        apply(new ServedTable(), fresh, desired);
        assert.deepEqual(withoutSlots(tables), withoutSlots(fresh));
        again.apply(everything(table));
        assert.deepEqual(sorted(tables), sorted(again));
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
        for (const place of places) {
          const id = servedId(place);
          // Clients outside go on to old backends until the second, when there are no others.
          const isLeft = place.clients === 'outside' && after.get(id)?.backends.length === 0;
          if (!isLeft) assert.deepEqual(tables.outcomes(place).toSorted(), expected(after, place).toSorted());
          assertReachable(tables, old, place, [before, after]);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('plans nothing for what is so already', () => {
    fc.assert(
      fc.property(step, (changes) => {
        const table = new ServedTable();
        table.commit(table.plan(changes));
        const { first, second } = table.plan(changes);
        assert.deepEqual([first, second], [[], []]);
      }),
    );
  });

  it('plan() changes nothing by itself', () => {
    const table = new ServedTable();
    const changes = new Map([
      [
        'x',
        { frontend: frontends[0] as Frontend, clients: 'all' as const, ranges: [], backends: [], affinitySeconds: 0 },
      ],
    ]);
    assert.deepEqual(table.plan(changes), table.plan(changes));
  });

  it('takes over the objects of those who hold the same backends, unless their slots are in another order', () => {
    const frontend = frontends[0] as Frontend;
    const served = (...ends: readonly number[]): Served => ({
      frontend,
      clients: 'all',
      ranges: [],
      affinitySeconds: 0,
      backends: ends.map((end) => ({ address: ip(`10.1.0.${end}`), port: 80, clusterId: 1 })),
    });
    const table = new ServedTable();
    const id = frontendId(frontend);
    const set = (next: Served): void => table.commit(table.plan(new Map([[id, next]])));
    table.share(id, served(2, 3));
    assert.equal(table.frontends.size, 0);
    set(served(2, 3));
    const same = served(2, 3);
    table.share(id, same);
    const { backends, slots } = table.frontends.get(id) ?? assert.fail();
    assert.ok(backends === same.backends && slots === same.backends);
    set(served(1, 2, 3));
    table.share(id, served(1, 2, 3));
    assert.deepEqual(table.frontends.get(id)?.slots, served(2, 3, 1).backends);
  });

  for (const affinitySeconds of [0, 60]) {
    it(`writes what a change changes, not what there is, with affinity of ${affinitySeconds} s`, () => {
      const frontend = frontends[0] as Frontend;
      const served = (backends: Served['backends']) =>
        new Map([[frontendId(frontend), { frontend, clients: 'all' as const, ranges: [], backends, affinitySeconds }]]);
      // Each time other objects, as from a table that was read anew.
      const many = () =>
        Array.from({ length: 2000 }, (_, i) => ({
          address: ip(`10.1.${i >> 8}.${i & 255}`),
          port: 80,
          clusterId: 1,
        }));
      const [table, tables] = [new ServedTable(), emptyTables()];
      apply(table, tables, served(many()));
      for (const next of [
        many().filter((_, i) => i !== 1000),
        many(),
        many().map((backend, i) => (i === 7 ? { ...backend, port: 81 } : backend)),
        many().map((backend, i) => (i === 9 ? { ...backend, clusterId: 2 } : backend)),
      ]) {
        const { first, second } = table.plan(served(next));
        const written = [...first, ...second].flatMap((one) => (one.kind === 'elements' ? one.elements : []));
        assert.ok(written.length <= 20, `${written.length} elements`);
        apply(table, tables, served(next));
        assert.deepEqual(
          tables.outcomes({ frontend, clients: 'all' }).toSorted(),
          next.map((b) => `${b.address} . ${b.port}`).toSorted(),
        );
      }
    });
  }
});

describe('TableReader', () => {
  it('finds what was written, and finds it intact', async () => {
    await fc.assert(
      fc.asyncProperty(step, step, fc.constantFrom(...FAMILIES), async (before, changes, family) => {
        const { elements, chains, placed } = written(family, before, changes);
        const listing = await read(family, elements, chains);
        assert.equal(listing.intact, true);
        assert.deepEqual(new Set(listing.served.map(normal)), new Set(placed.map(normal)));
      }),
    );
  });

  it('notices an element or chain that is lost, left over or changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        step,
        fc.nat(),
        fc.constantFrom('lost', 'changed', 'twice', 'chain', 'no chain'),
        async (changes, at, what) => {
          const { elements, chains } = written('ip', changes);
          const victim = elements[at % elements.length];
          fc.pre(victim !== undefined);
          // Without these a frontend is not served, or for less of the outside, and all fits together: `replace` adds them.
          fc.pre(!(/^(refused|outside|allowed)$/.test(victim.set) && what === 'lost'));
          const others = elements.filter((element) => element !== victim);
          const damaged = {
            lost: others,
            changed: [...others, { ...victim, comment: 'x' }],
            twice: [...elements, victim],
            chain: elements,
            'no chain': elements,
          };
          fc.pre(what !== 'no chain' || chains.length > 0);
          const present = { chain: [...chains, 'tcp-99'], 'no chain': [] }[what as string] ?? chains;
          const listing = await read('ip', damaged[what], present);
          assert.equal(listing.intact, false);
        },
      ),
    );
  });
});

/** A packet that read the old choice still finds all of its slots, with backends of the old or of the new set. */
function assertReachable(
  tables: NaiveTables,
  old: NaiveTables['elements'],
  place: Place,
  states: readonly ServedChanges[],
): void {
  const possible = new Set(states.flatMap((state) => expected(state, place)));
  if (place.clients === 'outside') {
    // What all have may be what it had or is to have; and a first packet is sent again.
    const apart = states.flatMap((state) => state.get(servedId(place)) ?? []);
    const all = states.flatMap((state) => expected(state, { ...place, clients: 'all' }));
    for (const outcome of ['dropped', ...all, ...apart.flatMap(choicesOf)]) possible.add(outcome);
  }
  // This is the order in which they are asked: the switch may come after each.
  for (const isOld of [/ refused /, / (refused|outside-services) /, / (refused|outside-services|outside|services) /]) {
    const mixed = new NaiveTables();
    for (const chain of tables.chains) mixed.chains.add(chain);
    for (const [id, element] of tables.elements) if (!isOld.test(id)) mixed.elements.set(id, element);
    for (const [id, element] of old) if (isOld.test(id)) mixed.elements.set(id, element);
    for (const outcome of mixed.outcomes(place)) {
      assert.ok(possible.has(outcome), `${outcome} of ${servedId(place)}`);
    }
  }
}

const sorted = (tables: NaiveTables): unknown => [[...tables.elements].sort(), [...tables.chains].sort()];

function withoutSlots(tables: NaiveTables): unknown {
  const elements = [...tables.elements].map(([id, { value, comment }]) => {
    const key = /^\S+ (sticky-)?slots/.test(id) ? id.replace(/ \. \d+$/, '') : id;
    return `${key}: ${value} ${comment}`;
  });
  return [elements.sort(), [...tables.chains].sort()];
}

/** In the kernel a frontend without backends has no affinity. */
const normal = ({ frontend, backends, slots, ids, affinitySeconds }: Placed): string =>
  JSON.stringify([frontend, backends, slots, ids, backends.length === 0 ? 0 : affinitySeconds]);

/** What stands in the tables of a family after these changes. */
function written(family: Family, ...history: readonly ServedChanges[]) {
  const table = new ServedTable();
  for (const changes of history) table.commit(table.plan(changes));
  const operations = [...everything(table)].filter((one) => one.family === family);
  return {
    elements: operations.flatMap((operation) => (operation.kind === 'elements' ? operation.elements : [])),
    chains: operations.flatMap((operation) => (operation.kind === 'chain' ? [choiceChain(operation.choice)] : [])),
    placed: [...table.frontends.values()].filter(({ frontend }) => familyOfFrontend(frontend) === family),
  };
}

function read(family: Family, elements: readonly Element[], chains: readonly string[]): Promise<TableContents> {
  const reader = new TableReader(family);
  for (const set of SETS) {
    for (const element of elements.filter((one) => one.set === set)) {
      reader.add(set, encodeElement(family, element).subarray(4));
    }
  }
  return reader.finish(new Set(chains));
}
