import assert from 'node:assert/strict';
import { agentDefinition } from '@tombolo/proto/definition.ts';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import {
  EAST,
  leftOut,
  SAMPLE_TIME,
  sampleBackend,
  sampleEntry,
  sampleGroup,
  sampleWeb,
  selected,
} from './fake-source.fixture.ts';
import { MAX_TEXT, serviceParts } from './service-message.ts';

const addressOf = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
const backends = (n: number) => Array.from({ length: n }, (_, i) => selected(sampleBackend(addressOf(i))));

function onlyService(parts: Iterable<{ readonly service: api.Service }>): api.Service {
  const [part, ...more] = parts;
  assert.equal(more.length, 0);
  assert.ok(part);
  return part.service;
}

describe('serviceParts()', () => {
  it('says everything about a Service in one message', () => {
    const service = onlyService(serviceParts(sampleWeb()));
    const { groups, ...rest } = service;
    assert.deepEqual(rest, {
      ...splitServiceKey(sampleWeb().key),
      local: true,
      global: true,
      shared: true,
      programmed: true,
      affinity: 'AFFINITY_NONE',
      sessionAffinitySeconds: 0,
      origin: {
        source: 'SOURCE_KUBERNETES',
        revision: '7',
        learnedAt: { seconds: SAMPLE_TIME / 1000, nanos: 0 },
      },
      unmatchedBackends: [],
      selectedCount: 2,
      backendCount: 3,
      moreBackends: false,
    });
    const [group] = groups;
    assert.deepEqual(group?.port, { name: 'http', protocol: 'PROTOCOL_TCP', port: 80, nodePort: 0 });
    assert.deepEqual(group?.frontends, [
      { kind: 'FRONTEND_KIND_CLUSTER_IP', address: '10.96.0.10', port: 80, protocol: 'PROTOCOL_TCP' },
    ]);
    assert.deepEqual(group?.backends[2], {
      address: '10.2.0.6',
      port: 8080,
      protocol: 'PROTOCOL_TCP',
      portNames: ['http'],
      cluster: 'west',
      clusterId: 2,
      node: '',
      zone: '',
      state: 'BACKEND_STATE_UNREADY',
      stale: false,
      origin: { source: 'SOURCE_ETCD', revision: '12', learnedAt: { seconds: SAMPLE_TIME / 1000, nanos: 0 } },
      verdict: 'VERDICT_UNREADY',
      reason: 'west says it is not ready',
    });
  });

  it('survives the wire unchanged', () => {
    const response = { revision: 2 ** 40, service: onlyService(serviceParts(sampleWeb())) };
    const { responseSerialize, responseDeserialize } = agentDefinition.getService;
    assert.deepEqual(structuredClone(responseDeserialize(responseSerialize(response))), response);
  });

  it('shows a Service that only other clusters have', () => {
    const entry = { ...sampleWeb(), service: undefined, groups: [], unmatched: backends(2) };
    const service = onlyService(serviceParts(entry));
    assert.equal(service.local, false);
    assert.equal(service.origin, null);
    assert.equal(service.selectedCount, 0);
    assert.equal(service.backendCount, 2);
    assert.equal(service.unmatchedBackends.length, 2);
  });

  it('splits 20,000 backends into messages that put together are the whole', () => {
    const entry = { ...sampleEntry('big', [sampleGroup(backends(15_000))]), unmatched: backends(5_000) };
    const parts = [...serviceParts(entry)].map(({ service }) => service);
    assert.ok(parts.length > 1);
    assert.deepEqual(
      parts.map(({ moreBackends }) => moreBackends),
      parts.map((_, i) => i < parts.length - 1),
    );
    for (const service of parts) {
      const size = agentDefinition.getService.responseSerialize({ revision: 1, service }).length;
      assert.ok(size < 1024 * 1024, `one message has ${size} bytes`);
      assert.equal(service.backendCount, 20_000);
    }
    const joined = parts.flatMap(({ groups }) => groups[0]?.backends ?? []).map(({ address }) => address);
    assert.deepEqual(
      joined,
      Array.from({ length: 15_000 }, (_, i) => addressOf(i)),
    );
    assert.equal(parts.flatMap(({ unmatchedBackends }) => unmatchedBackends).length, 5_000);
  });

  it('gives each backend exactly once, in order, whatever the limit and the texts', () => {
    const texts = fc.array(fc.string({ maxLength: 3_000, unit: 'grapheme' }), { maxLength: 20 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 5_000 }), (zones, limit) => {
        const decisions = zones.map((zone, i) => leftOut(sampleBackend(addressOf(i), { zone }), 'affinity', zone));
        const parts = [...serviceParts(sampleEntry('web', [sampleGroup(decisions)]), limit)];
        const sent = parts.flatMap(({ service }) => service.groups[0]?.backends ?? []);
        assert.deepEqual(
          sent.map(({ address }) => address),
          zones.map((_, i) => addressOf(i)),
        );
        assert.ok(sent.every(({ zone, reason }) => zone.length <= MAX_TEXT && reason.length <= MAX_TEXT));
      }),
    );
  });

  it('keeps ages: a time of 0 is absent, milliseconds are kept', () => {
    const origin = { source: 'kernel', revision: '', at: 0 } as const;
    const decision = selected(sampleBackend('10.1.0.1', { cluster: EAST, origin }));
    const service = onlyService(serviceParts(sampleEntry('web', [sampleGroup([decision])])));
    assert.deepEqual(service.groups[0]?.backends[0]?.origin, {
      source: 'SOURCE_KERNEL',
      revision: '',
      learnedAt: null,
    });
  });
});
