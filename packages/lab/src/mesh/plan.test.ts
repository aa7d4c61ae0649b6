import assert from 'node:assert/strict';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { allNodes, type ClusterSpec, planMesh, stations } from './plan.ts';

const places = meshPlaces(meshName('t'));
const plan = (...clusters: readonly ClusterSpec[]) => planMesh(places, '/cg', clusters);
const east = { name: 'east', id: 1, nodes: 2 };
const west = { name: 'west', id: 2, nodes: [{}, { name: 'far', zone: 'z' }] };

describe('planMesh()', () => {
  it('numbers clusters and nodes into addresses', () => {
    const [first, second] = allNodes(plan(east, west)).slice(1, 3);
    assert.deepEqual(
      [first?.name, first?.address, first?.podCidr, first?.podCidr6, first?.gateway, first?.zone],
      ['east-2', '10.0.1.2', '10.1.2.0/24', 'fd00:1:2::/64', '10.1.2.1', 'east-b'],
    );
    assert.deepEqual(
      [second?.name, second?.address6, second?.cgroup],
      ['west-1', 'fd00::2:1', '/cg/tbl-dev-t/west/west-1'],
    );
  });

  it('takes names and zones of nodes when told', () => {
    const node = allNodes(plan(west))[1];
    assert.deepEqual([node?.name, node?.zone, node?.netns], ['far', 'z', 'tbl-dev-t-far']);
  });

  it('gives every station an address, a link and a namespace of its own', () => {
    const all = stations(plan(east, west));
    for (const key of ['address', 'address6', 'link', 'netns', 'cgroup'] as const)
      assert.equal(new Set(all.map((station) => station[key])).size, 6, key);
    assert.ok(all.every(({ link }) => link.length <= 15));
  });

  const refusals: [string, ClusterSpec[], RegExp][] = [
    [
      'a name twice',
      [east, { ...west, name: 'east' }],
      /a different name for each cluster: current value is east,east/,
    ],
    ['an id twice', [east, { ...west, id: 1 }], /a different id for each cluster/],
    ['a node name twice', [east, { ...west, nodes: [{ name: 'east-1' }] }], /a different name for each node/],
    ['an id whose pods would have service addresses', [{ ...east, id: 96 }], /cluster id of 1-95: current value is 96/],
    ['a name that no cluster may have', [{ ...east, name: 'East' }], /cluster name must be/],
    ['more nodes than addresses', [{ ...east, nodes: 250 }], /fewer than 250 nodes/],
  ];
  for (const [what, clusters, reason] of refusals)
    it(`refuses ${what}`, () => {
      assert.throws(() => plan(...clusters), reason);
    });
});
