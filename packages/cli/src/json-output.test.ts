import assert from 'node:assert/strict';
import { clusterJson, serviceJson, statusJson, watchJson } from './json-output.ts';
import { REMOTE_SERVICE, SAMPLE_CLUSTERS, SAMPLE_SERVICE, SAMPLE_STATUS } from './samples.fixture.ts';
import { ServiceJoiner } from './service-parts.ts';
import { verdictWord } from './words.ts';

describe('serviceJson()', () => {
  it('has the shape that docs/api.md promises', () => {
    const json = JSON.parse(JSON.stringify(serviceJson(SAMPLE_SERVICE)));
    const { groups, unmatchedBackends, ...rest } = json;
    assert.deepEqual(rest, {
      namespace: 'default',
      name: 'web',
      local: true,
      global: true,
      shared: true,
      programmed: true,
      affinity: 'none',
      sessionAffinitySeconds: 0,
      origin: { source: 'kubernetes', revision: '7', learnedAt: '2026-01-02T00:04:05.000Z' },
      selectedCount: 2,
      backendCount: 4,
    });
    const [{ backends, ...group }] = groups;
    assert.deepEqual(group, {
      port: { name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 },
      family: 'IPv4',
      clients: 'all',
      frontends: [
        { kind: 'ClusterIP', address: '10.96.0.10', port: 80, protocol: 'TCP' },
        { kind: 'NodePort', address: '0.0.0.0', port: 30080, protocol: 'TCP' },
      ],
      refused: [
        {
          frontend: { kind: 'ExternalIP', address: '192.0.2.7', port: 80, protocol: 'TCP' },
          reason: 'it is a cluster IP of kube-system/dns',
        },
      ],
    });
    assert.deepEqual(backends[2], {
      address: '10.2.0.5',
      port: 8080,
      protocol: 'TCP',
      portNames: ['http'],
      cluster: 'west',
      clusterId: 2,
      node: '',
      zone: '',
      state: 'active',
      stale: true,
      origin: { source: 'etcd', revision: '90', learnedAt: '2026-01-02T03:00:45.000Z' },
      verdict: 'selected',
      reason: 'ready',
    });
    assert.equal(unmatchedBackends[0].verdict, 'address-family');
  });

  it('has null for what is not known', () => {
    assert.equal(JSON.parse(JSON.stringify(serviceJson(REMOTE_SERVICE))).origin, null);
    const north = JSON.parse(JSON.stringify(SAMPLE_CLUSTERS.map(clusterJson)))[2];
    assert.deepEqual([north.id, north.heardAt, north.control], [null, null, 'connecting']);
  });
});

describe('statusJson()', () => {
  it('has words and times for people and programs alike', () => {
    const json = JSON.parse(JSON.stringify(statusJson(SAMPLE_STATUS)));
    assert.equal(json.startedAt, '2025-12-30T03:04:05.000Z');
    assert.deepEqual(json.parts[1], { name: 'mesh/west', state: 'degraded', reason: 'silent for 45 s' });
  });
});

describe('watchJson()', () => {
  it('gives null for an event that this version does not know', () => assert.equal(watchJson({ revision: 1 }), null));
  it('keeps the resume token', () =>
    assert.deepEqual(watchJson({ revision: 4, event: 'bookmark', bookmark: { resumeToken: 't' } }), {
      event: 'bookmark',
      revision: 4,
      resumeToken: 't',
    }));
});

describe('verdictWord()', () => {
  it('shows a value of a newer agent as it is', () => assert.equal(verdictWord(99 as never), '99'));
});

describe('ServiceJoiner', () => {
  it('puts parts together, group by group', () => {
    const [group] = SAMPLE_SERVICE.groups;
    assert.ok(group);
    const part = (backends: typeof group.backends, moreBackends: boolean, unmatched = false) => ({
      ...SAMPLE_SERVICE,
      groups: [{ ...group, backends }],
      unmatchedBackends: unmatched ? SAMPLE_SERVICE.unmatchedBackends : [],
      moreBackends,
    });
    const joiner = new ServiceJoiner();
    assert.equal(joiner.add(part(group.backends.slice(0, 1), true)), undefined);
    assert.equal(joiner.add(part(group.backends.slice(1), true)), undefined);
    assert.deepEqual(joiner.add(part([], false, true)), SAMPLE_SERVICE);
    assert.equal(joiner.add(REMOTE_SERVICE), REMOTE_SERVICE);
  });
});
