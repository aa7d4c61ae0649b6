import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Placed, place } from './slots.ts';

const FRONTEND = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' } as const;

/** `a` is 10.1.0.1, `b` is 10.1.0.2 and so on; `a/81` has another port, `a@2` another cluster. */
const backend = (text: string): RouteBackend => {
  const [, letter = '', , port, , clusterId] = /^(\w)(\/(\d+))?(@(\d))?$/.exec(text) ?? [];
  const address = ip(`10.1.0.${letter.charCodeAt(0) - 96}`);
  return { address, port: Number(port ?? 80), clusterId: Number(clusterId ?? 1) };
};
const textOf = ({ address, port, clusterId }: RouteBackend): string => {
  const letter = String.fromCharCode(Number(address.split('.').at(-1)) + 96);
  return `${letter}${port === 80 ? '' : `/${port}`}${clusterId === 1 ? '' : `@${clusterId}`}`;
};

/** The slots after a frontend had one list of backends after the other. */
function placed(affinitySeconds: number, ...lists: readonly string[]): Placed {
  const states = lists.map((list) =>
    list
      .split(' ')
      .filter((text) => text !== '')
      .map(backend),
  );
  const last = states.reduce<Placed | undefined>(
    (before, backends) => place(before, { frontend: FRONTEND, clients: 'all', ranges: [], backends, affinitySeconds }),
    undefined,
  );
  assert.ok(last);
  return last;
}

const CASES: readonly (readonly [name: string, lists: readonly string[], slots: string])[] = [
  ['fills the slots in order at first', ['a b c'], 'a b c'],
  ['keeps each in its slot while nothing changes', ['b c', 'a b c', 'a b c'], 'b c a'],
  ['puts one that comes into the slot of one that goes', ['a b c', 'a c d'], 'a d c'],
  ['puts more that come behind those that are there', ['b d', 'a b c d'], 'b d a c'],
  ['puts the last into the slot of one that goes', ['a b c d', 'b c d'], 'd b c'],
  ['fills several slots from the end, the last of them first', ['a b c d e', 'c d e'], 'd e c'],
  ['takes out the last without moving any other', ['a b c', 'a b'], 'a b'],
  ['takes out all', ['a b', ''], ''],
  ['begins anew after there was none', ['b', '', 'a b'], 'a b'],
  ['takes another port of an address for another backend', ['a a/81 b', 'a/81 b'], 'b a/81'],
  ['takes a backend of another cluster for another one', ['a b', 'a@2 b'], 'a@2 b'],
];

describe('place()', () => {
  for (const [name, lists, slots] of CASES) {
    it(name, () => {
      const { slots: got, ids } = placed(0, ...lists);
      assert.equal(got.map(textOf).join(' '), slots);
      assert.deepEqual(ids, []);
    });
  }

  /** What clients are remembered by, of each backend. */
  const idsOf = ({ slots, ids }: Placed) => new Map(slots.map((each, slot) => [textOf(each), ids[slot]]));

  it('remembers clients of a backend by the same number, wherever it stands and whatever was before', () => {
    const alone = idsOf(placed(60, 'd')).get('d');
    assert.equal(idsOf(placed(60, 'a b c d')).get('d'), alone);
    const moved = placed(60, 'a b c d', 'b c d');
    assert.equal(textOf(moved.slots[0] ?? backend('z')), 'd');
    assert.equal(idsOf(moved).get('d'), alone);
    assert.equal(new Set(moved.ids).size, 3);
  });

  it('has no numbers without affinity, and finds the same ones when affinity comes', () => {
    const [before] = [placed(0, 'a b')];
    const after = place(before, { ...before, affinitySeconds: 60 });
    assert.deepEqual(after.ids, placed(60, 'a b').ids);
    assert.deepEqual(place(after, { ...after, backends: [] }).ids, []);
  });

  it('gives nobody the number of another backend that clients still remember', () => {
    const id = idsOf(placed(60, 'b')).get('b') ?? 0;
    const before = { ...placed(60, 'a'), ids: [id] };
    const next = { frontend: FRONTEND, clients: 'all', ranges: [], affinitySeconds: 60 } as const;
    const both = place(before, { ...next, backends: before.backends.concat(backend('b')) });
    assert.deepEqual(both.ids, [id, id + 1]);
    assert.deepEqual(place(before, { ...next, backends: [backend('b')] }).ids, [id + 1]);
  });

  it('gives two that come at once different numbers, though their texts have the same hash', () => {
    const twins = [
      { address: ip('10.1.178.137'), port: 81, clusterId: 1 },
      { address: ip('10.1.19.2'), port: 82, clusterId: 1 },
    ];
    const { ids } = place(undefined, {
      frontend: FRONTEND,
      clients: 'all',
      ranges: [],
      affinitySeconds: 60,
      backends: twins,
    });
    assert.deepEqual(ids, [4_079_480_502, 4_079_480_503]);
  });

  it('numbers backends by the standard FNV-1a, so that other programs and later versions find the same', () => {
    // Of the text "10.1.0.1 . 80 1", by the reference algorithm in 64-bit integers.
    const reference = [...'10.1.0.1 . 80 1'].reduce(
      (hash, character) => ((hash ^ BigInt(character.charCodeAt(0))) * 16_777_619n) & 0xffff_ffffn,
      2_166_136_261n,
    );
    assert.deepEqual(placed(60, 'a').ids, [Number(reference)]);
  });
});
