import assert from 'node:assert/strict';
import { canaryEntries, configEntry, type Entry, largeEntry, localService, serviceEntry } from './remote-entries.ts';

const WEST = { name: 'west', id: 2 };
const parsed = ([, value]: Entry) => JSON.parse(value);

describe('serviceEntry()', () => {
  it('has the fields that Cilium writes, in its order', () => {
    const entry = serviceEntry(WEST, 110, { backends: 25 });
    assert.equal(entry[0], 'cilium/state/services/v1/west/team-10/service-110');
    assert.equal(
      Object.keys(parsed(entry)).join(' '),
      'cluster namespace name frontends backends labels selector includeExternal shared clusterID',
    );
    assert.equal(Buffer.byteLength(entry[1]) > 2500, true); // Cilium's with 25 backends of two ports have 2.8 kB.
  });

  it('gives no two Services the same backends', () => {
    const backends = [0, 1, 19_999].flatMap((service) =>
      Object.keys(parsed(serviceEntry(WEST, service, { backends: 25 })).backends),
    );
    assert.equal(new Set(backends).size, 75);
  });

  it('has the name of the local Service that uses it', () => {
    const { name, namespace } = parsed(serviceEntry(WEST, 4711, { backends: 1 }));
    const { metadata } = localService(4711);
    assert.deepEqual([metadata.name, metadata.namespace], [name, namespace]);
  });
});

describe('largeEntry()', () => {
  it('can be without one of its backends', () => {
    const addresses = (without?: number): readonly string[] =>
      Object.keys(parsed(largeEntry(WEST, { backends: 300, ...(without !== undefined && { without }) })).backends);
    assert.equal(addresses().length, 300);
    assert.deepEqual(
      addresses(7),
      addresses().filter((address) => address !== '10.218.0.7'),
    );
  });
});

describe('configEntry() and canaryEntries()', () => {
  it('name the cluster and promise canaries, of which there is one for each kind', () => {
    assert.equal(configEntry(WEST)[0], 'cilium/cluster-config/west');
    assert.equal(parsed(configEntry(WEST)).capabilities.syncedCanaries, true);
    assert.deepEqual(
      canaryEntries(WEST, 'now').map(([key]) => key),
      ['nodes', 'identities', 'ip', 'services'].map((kind) => `cilium/synced/west/cilium/state/${kind}/v1`),
    );
  });
});
