import assert from 'node:assert/strict';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { ClusterIds } from './cluster-ids.ts';

const name = (text: string) => text as ClusterName;
const [east, west, north] = ['east', 'west', 'north'].map(name) as [ClusterName, ClusterName, ClusterName];
const local = { name: east, id: 1 };

describe('ClusterIds', () => {
  it('frees an id when its holder is given another', () => {
    const ids = new ClusterIds(local, 255);
    assert.ok(ids.claim(west, 2).ok);
    assert.ok(ids.claim(west, 3).ok);
    assert.deepEqual(ids.of(west), { name: west, id: 3 });
    assert.ok(ids.claim(north, 2).ok);
  });

  it('keeps what a cluster holds when it is refused another', () => {
    const ids = new ClusterIds(local, 255, new Map([[north, 3]]));
    assert.ok(ids.claim(west, 2).ok);
    for (const id of [1, 3, 0, 256]) assert.equal(ids.claim(west, id).ok, false, `${id}`);
    assert.deepEqual(ids.of(west), { name: west, id: 2 });
  });

  it('takes no id from memory that is ours, out of range or given twice', () => {
    const ids = new ClusterIds(
      local,
      255,
      new Map([
        [west, 1],
        [north, 300],
        [name('a'), 4],
        [name('b'), 4],
      ]),
    );
    assert.deepEqual(
      [west, north, name('a'), name('b')].map((each) => ids.of(each)?.id),
      [undefined, undefined, 4, undefined],
    );
  });

  it('warns the holder for as long as another claims its id', () => {
    let contested = 0;
    const ids = new ClusterIds(local, 255, new Map(), () => contested++);
    ids.claim(west, 2);
    ids.claim(north, 2);
    ids.claim(north, 2);
    assert.equal(contested, 1);
    assert.deepEqual(ids.warnings({ name: west, id: 2 }), ['Cluster "north" claims cluster id 2, too, and is refused']);
    ids.claim(north, 3);
    assert.equal(contested, 2);
    assert.deepEqual(ids.warnings({ name: west, id: 2 }), []);
  });
});
