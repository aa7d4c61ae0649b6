import assert from 'node:assert/strict';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import { sampleRemote } from '@tombolo/shared/model/samples.fixture.ts';
import { type RemoteService, type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import { RemoteContributions } from './remote-contributions.ts';

const cluster = (name: string, id: number): ClusterIdentity => ({ name: name as ClusterName, id });
const WEST = cluster('west', 2);
const FAR = cluster('far', 3);
const CART = serviceKey('shop', 'cart');
const TILL = serviceKey('shop', 'till');
const SYNCED = { kind: 'synced' } as const;
const NONE = new Set<ServiceKey>();

const say = (address: string, key = CART): ReadonlyMap<ServiceKey, RemoteService> =>
  new Map([[key, sampleRemote([address], { key })]]);

function contributions() {
  const touched = new Set<ServiceKey>();
  const remotes = new RemoteContributions((key) => touched.add(key));
  return {
    remotes,
    touched: () => {
      const keys = [...touched];
      touched.clear();
      return keys;
    },
    /** Who says what of a Service. */
    of: (key = CART) =>
      remotes.of(key).map(({ cluster: { name, id }, view, service }) => {
        return `${name}=${id} ${view.kind} ${service.backends[0]?.address}`;
      }),
  };
}

describe('RemoteContributions', () => {
  it('touches what a cluster says, and all that it has when its view becomes another', () => {
    const { remotes, touched } = contributions();
    remotes.setServices(WEST, say('10.2.0.1'));
    remotes.setServices(WEST, say('10.2.0.2', TILL));
    assert.deepEqual(touched(), [CART, TILL]);
    remotes.setServices(WEST, new Map([[TILL, undefined]]));
    assert.deepEqual(touched(), [TILL]);
    remotes.setView(WEST, SYNCED, NONE);
    assert.deepEqual(touched(), [CART]);
    remotes.setView(WEST, SYNCED, NONE);
    assert.deepEqual(touched(), []);
  });

  it('knows a cluster by name: with another id it begins anew', () => {
    const { remotes, touched, of } = contributions();
    remotes.setServices(WEST, say('10.2.0.1'));
    touched();
    remotes.setServices(cluster('west', 7), say('10.2.0.2', TILL));
    assert.deepEqual([of(), of(TILL), touched()], [[], ['west=7 unknown 10.2.0.2'], [CART, TILL]]);
  });

  it('removes a cluster with what was adopted of it, and no other', () => {
    const { remotes, touched, of } = contributions();
    remotes.adopt([
      { identity: WEST, services: say('10.2.0.1', TILL) },
      { identity: FAR, services: say('10.3.0.1', TILL) },
    ]);
    remotes.setServices(WEST, say('10.2.0.1'));
    touched();
    remotes.remove(cluster('north', 4));
    assert.deepEqual(touched(), []);
    remotes.remove(WEST);
    assert.deepEqual([of(), of(TILL), touched()], [[], ['far=3 unknown 10.3.0.1'], [CART, TILL]]);
    remotes.remove(FAR);
    assert.deepEqual([of(TILL), touched()], [[], [TILL]], 'though it has not spoken');
  });

  it('keeps what was adopted of a cluster when another one speaks', () => {
    const { remotes, of } = contributions();
    remotes.adopt([{ identity: WEST, services: say('10.2.0.1') }]);
    remotes.setServices(FAR, say('10.3.0.1'));
    remotes.setView(FAR, SYNCED, NONE);
    assert.deepEqual(of(), ['far=3 synced 10.3.0.1', 'west=2 unknown 10.2.0.1']);
  });

  it('takes what was adopted under another name or number for the cluster’s own', () => {
    for (const identity of [cluster('west', 9), cluster('cluster-id-2', 2)]) {
      const { remotes, of } = contributions();
      remotes.adopt([{ identity, services: say('10.2.0.1') }]);
      remotes.setView(WEST, { kind: 'unknown' }, NONE);
      assert.deepEqual(of(), ['west=2 unknown 10.2.0.1']);
      remotes.setServices(WEST, say('10.2.0.2'));
      assert.deepEqual(of(), ['west=2 unknown 10.2.0.2']);
    }
  });

  it('adopts nothing of a cluster that has spoken already', () => {
    const { remotes, of, touched } = contributions();
    remotes.setServices(WEST, say('10.2.0.1'));
    remotes.setView(WEST, SYNCED, NONE);
    touched();
    remotes.adopt([{ identity: WEST, services: new Map([...say('10.2.0.9'), ...say('10.2.0.9', TILL)]) }]);
    assert.deepEqual([of(), of(TILL), touched()], [['west=2 synced 10.2.0.1'], [], [CART, TILL]]);
  });

  it('withdraws what was adopted of clusters that there are no more, once all ids are known', () => {
    const keptOf = (identity: ClusterIdentity, clusters: readonly (readonly [string, number | undefined])[]) => {
      const { remotes, of } = contributions();
      remotes.adopt([{ identity, services: say('10.2.0.1') }]);
      remotes.settle(new Map(clusters.map(([name, id]) => [name as ClusterName, id])));
      return of().length > 0;
    };
    const kept = (...clusters: readonly (readonly [string, number | undefined])[]) => keptOf(WEST, clusters);
    assert.equal(kept(['west', 2]), true);
    assert.equal(kept(['west', 7]), true, 'its name');
    assert.equal(kept(['far', 2]), true, 'its id');
    assert.equal(kept(['far', undefined]), false, 'its name is known');
    assert.equal(keptOf(cluster('cluster-id-2', 2), [['far', undefined]]), true, 'the other may be it');
    assert.equal(kept(['west', undefined], ['far', 3]), true);
    assert.equal(kept(['far', 3]), false);
    assert.equal(kept(), false);
  });
});
