/** What a real Cilium wrote decodes, and encodes again to the same bytes. */
import assert from 'node:assert/strict';
import type { Result } from '../model/result.ts';
import { decodeClusterConfig, encodeClusterConfig } from './cluster-config.ts';
import type { EntryExpectations } from './expectations.ts';
import { decodeIdentity, encodeIdentity } from './identity.ts';
import { decodeIpEntry, encodeIpEntry } from './ip-entry.ts';
import { CLUSTER_CONFIG_PREFIX, type EntryKind, entryPrefix, suffixOf, syncedKey } from './keys.ts';
import { decodeNode, encodeNode } from './node.ts';
import { decodeService, encodeService } from './service.ts';
import { ciliumEntries } from './wire.fixture.ts';

const clusters = [
  { name: 'cluster-001', id: 1 },
  { name: 'cluster-002', id: 2 },
];

const codecs = {
  services: (value: string, expected: EntryExpectations) => mapResult(decodeService(value, expected), encodeService),
  nodes: (value: string, expected: EntryExpectations) => mapResult(decodeNode(value, expected), encodeNode),
  ip: (value: string, expected: EntryExpectations) => mapResult(decodeIpEntry(value, expected), encodeIpEntry),
  identities: (value: string, expected: EntryExpectations) =>
    mapResult(decodeIdentity(value, expected), encodeIdentity),
} as const;

const mapResult = <T, U>(result: Result<T>, use: (value: T) => U): Result<U> =>
  result.ok ? { ok: true, value: use(result.value) } : result;

/** Decoded and encoded again; undefined for a canary, whose value nobody reads. */
function recode(key: string, value: string): Result<string> | undefined {
  const config = suffixOf(key, CLUSTER_CONFIG_PREFIX);
  if (config !== undefined) {
    return mapResult(decodeClusterConfig(value, { cluster: config, maxClusters: 255 }), encodeClusterConfig);
  }
  for (const { name, id } of clusters) {
    for (const kind of Object.keys(codecs) as (keyof typeof codecs & EntryKind)[]) {
      if (key === syncedKey(kind, 'cache', name)) return undefined;
      const suffix = suffixOf(key, entryPrefix(kind, 'cache', name));
      if (suffix !== undefined) return codecs[kind](value, { cluster: name, clusterId: id, maxClusters: 255, suffix });
    }
  }
  throw new Error(`No codec for ${key}`);
}

describe('entries that Cilium 1.20.0 wrote', () => {
  it('decode, and encode again to the same bytes', () => {
    const entries = ciliumEntries();
    let recoded = 0;
    for (const { key, value } of entries) {
      const result = recode(key, value);
      if (result === undefined) continue;
      assert.deepEqual(result, { ok: true, value }, key);
      recoded++;
    }
    assert.equal(entries.length - recoded, 8, 'all but the canaries have a codec');
  });
});
