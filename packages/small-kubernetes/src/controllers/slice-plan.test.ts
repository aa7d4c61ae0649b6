import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { AddressType, ServiceEndpoint } from './service-endpoints.ts';
import { MOST_ENDPOINTS, type PlannedSlice, planSlices } from './slice-plan.ts';

const endpoint = (id: number, port: number, ready: boolean, addressType: AddressType = 'IPv4'): ServiceEndpoint => ({
  addressType,
  ports: [{ name: '', port, protocol: 'TCP' }],
  endpoint: {
    addresses: [`10.0.${id >> 8}.${id & 255}`],
    conditions: { ready, serving: ready, terminating: false },
    targetRef: { kind: 'Pod', namespace: 'x', name: `p${id}`, uid: String(id) },
  },
});

/** What the controller does with a plan: new slices get names. */
function carryOut(slices: readonly PlannedSlice[], nextName: () => string) {
  return slices.map((slice) => ({ ...slice, name: slice.name ?? nextName() }));
}

const family: fc.Arbitrary<AddressType> = fc.constantFrom('IPv4', 'IPv6');
const wanted = fc.uniqueArray(
  fc.record({ id: fc.nat(400), port: fc.constantFrom(80, 81), ready: fc.boolean(), addressType: family }),
  { maxLength: 350, selector: ({ id }) => id },
);

const toEndpoints = (facts: readonly { id: number; port: number; ready: boolean; addressType: AddressType }[]) =>
  facts.map(({ id, port, ready, addressType }) => endpoint(id, port, ready, addressType));

const FAMILIES: readonly AddressType[] = ['IPv4', 'IPv6'];

describe('planSlices()', () => {
  it('holds exactly the wanted endpoints, no slice too long, whatever was there before', () => {
    fc.assert(
      fc.property(fc.array(wanted, { minLength: 1, maxLength: 4 }), (history) => {
        let names = 0;
        let existing: ReturnType<typeof carryOut> = [];
        for (const facts of history) {
          const endpoints = toEndpoints(facts);
          const plan = planSlices(existing, endpoints, FAMILIES);
          const held = plan.slices.flatMap((slice) =>
            slice.endpoints.map((e) => JSON.stringify([slice.addressType, slice.ports, e])),
          );
          const expected = endpoints.map((e) => JSON.stringify([e.addressType, e.ports, e.endpoint]));
          assert.deepEqual(held.sort(), expected.sort());
          assert.ok(plan.slices.every((slice) => slice.endpoints.length <= MOST_ENDPOINTS));
          const used = plan.slices.flatMap(({ name }) => name ?? []);
          assert.equal(new Set(used).size, used.length, 'a slice has one use');
          assert.deepEqual([...used, ...plan.remove].sort(), existing.map(({ name }) => name).sort());
          existing = carryOut(plan.slices, () => `s${names++}`);
          assert.deepEqual(
            planSlices(existing, endpoints, FAMILIES),
            { slices: existing, remove: [] },
            'nothing is left to do',
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('changes only the slice of the endpoint that changed', () => {
    const before = Array.from({ length: 250 }, (_, id) => endpoint(id, 80, true));
    const existing = carryOut(
      planSlices([], before, ['IPv4']).slices,
      (
        (n) => () =>
          `s${n++}`
      )(0),
    );
    assert.deepEqual(
      existing.map(({ endpoints }) => endpoints.length),
      [100, 100, 50],
    );
    const after = before.map((e, id) => (id === 130 ? endpoint(130, 80, false) : e));
    const { slices } = planSlices(existing, after, ['IPv4']);
    const changed = slices.filter((slice) => !existing.some((old) => JSON.stringify(old) === JSON.stringify(slice)));
    assert.equal(changed.length, 1);
  });

  it('keeps one empty slice for each family of a Service without endpoints, and fills it later', () => {
    const { slices } = planSlices([], [], FAMILIES);
    assert.deepEqual(
      slices.map(({ addressType, endpoints }) => [addressType, endpoints.length]),
      [
        ['IPv4', 0],
        ['IPv6', 0],
      ],
    );
    const existing = carryOut(
      slices,
      (
        (n) => () =>
          `s${n++}`
      )(0),
    );
    const filled = planSlices(existing, [endpoint(1, 80, true)], FAMILIES);
    assert.deepEqual(
      filled.slices.map(({ name }) => name),
      ['s0', 's1'],
    );
    assert.deepEqual(filled.remove, []);
  });
});
