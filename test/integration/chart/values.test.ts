import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';
import { CHART, EAST, render, type Values } from './helm.ts';

const tls = { caCert: 'YQ==', cert: 'Yg==', key: 'Yw==' };

/** Wrong values, and what Helm has to say about them. */
const REFUSED: readonly { readonly values: Values; readonly says: RegExp }[] = [
  { values: { 'cluster.name': '' }, says: /\/cluster\/name.*does not match/ },
  { values: { 'cluster.id': 0 }, says: /\/cluster\/id.*minimum: got 0, want 1/ },
  { values: { 'cluster.name': 'East' }, says: /\/cluster\/name.*'East' does not match/ },
  { values: { 'cluster.name': 'default' }, says: /cluster\.name must not be "default"/ },
  {
    values: { 'cluster.id': 300 },
    says: /cluster\.id must be at most cluster\.maxConnected \(255\): current value is 300/,
  },
  { values: { 'cluster.id': 512, 'cluster.maxConnected': 511 }, says: /\/cluster\/id.*maximum: got 512, want 511/ },
  { values: { 'cluster.id': '1' }, says: /\/cluster\/id.*got string, want integer/ },
  { values: { 'cluster.maxConnected': 300 }, says: /\/cluster\/maxConnected.*one of 255, 511/ },
  { values: { agent: {} }, says: /additional properties 'agent' not allowed/ },
  { values: { 'nodeAgent.dataPath': 'auto' }, says: /\/nodeAgent.*additional properties 'dataPath' not allowed/ },
  { values: { 'nodeAgent.datapath': 'xdp' }, says: /\/nodeAgent\/datapath.*one of 'auto', 'ebpf', 'nftables'/ },
  { values: { 'nodeAgent.services': 'all' }, says: /kubernetesApi\.host is needed with nodeAgent\.services=all/ },
  ...['5s', '25h', '1h30m61m1400m'].map((leaseTtl) => ({
    values: { 'clustermeshApiserver.leaseTtl': leaseTtl },
    says: new RegExp(`leaseTtl must be 25s to 24h, for example 15m: current value is "${leaseTtl}"`),
  })),
  { values: { 'nodeAgent.capabilities': ['CAP_BPF'] }, says: /without CAP_: current value is "CAP_BPF"/ },
  { values: { 'nodeAgent.capabilities': ['ALL'] }, says: /nodeAgent\.capabilities.*nodeAgent\.privileged/ },
  { values: { 'nodeAgent.updateStrategy.rollingUpdate.maxSurge': 1 }, says: /\/nodeAgent\/updateStrategy/ },
  { values: { 'image.tag': 'latest' }, says: /image\.tag must be a version/ },
  { values: { 'image.digest': 'sha256:1' }, says: /\/image\/digest.*does not match/ },
  { values: { 'clustermeshApiserver.replicas': 0 }, says: /\/clustermeshApiserver\/replicas.*minimum/ },
  { values: { 'clustermeshApiserver.service.type': 'ExternalName' }, says: /service\/type.*one of 'NodePort'/ },
  { values: { 'clustermeshApiserver.service.nodePort': 70_000 }, says: /service\/nodePort/ },
  { values: { 'clustermeshApiserver.advertise.ips': ['nonsense'] }, says: /advertise\/ips\/0.*not valid ipv4/ },
  { values: { 'clustermeshApiserver.tls.method': 'openssl' }, says: /tls\/method.*one of 'helm'/ },
  { values: { 'clustermeshApiserver.tls.method': 'secrets' }, says: /tls\.secrets\.admin must name a Secret/ },
  { values: { 'clustermeshApiserver.etcd.storage.size': 'large' }, says: /etcd\/storage\/size.*does not match/ },
  { values: { 'clustermeshApiserver.leaseTtl': '15' }, says: /leaseTtl.*does not match/ },
  {
    values: { 'clustermesh.clusters': [{ name: 'west', port: 2379, tls }] },
    says: /clusters\/0.*missing property 'address'[\s\S]*missing property 'ips'/,
  },
  {
    values: {
      'clustermesh.clusters': [{ name: 'west', ips: ['192.0.2.1'], port: 2379, tls: { ...tls, key: undefined } }],
    },
    says: /clusters\/0\/tls.*missing property 'key'/,
  },
  {
    values: { 'clustermesh.clusters': [{ name: 'east', ips: ['192.0.2.1'], port: 2379, tls }] },
    says: /each other cluster once, and not this one: "east"/,
  },
  {
    values: {
      'clustermesh.existingSecret': 'ours',
      'clustermesh.clusters': [{ name: 'west', ips: ['192.0.2.1'], port: 2379, tls }],
    },
    says: /clustermesh\.existingSecret and clustermesh\.clusters cannot both be given/,
  },
];

describe('the values of the chart', () => {
  for (const { values, says } of REFUSED) {
    it(`are refused with a sentence: ${JSON.stringify(values)}`, async () => {
      const { ok, stderr } = await render({ ...EAST, ...values });
      assert.equal(ok, false);
      assert.match(stderr, says);
    });
  }

  it('all have a default, and stand in the schema', async () => {
    const values = parseDocument(await readFile(join(CHART, 'values.yaml'), 'utf8')) as Document<YAMLMap>;
    const schema: Schema = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'));
    assert.equal(schema.$schema, 'http://json-schema.org/draft-07/schema#');
    assert.deepEqual(unknownTo(schema, values.contents, ''), []);
    assert.deepEqual(openObjects(schema, ''), []);
  });
});

interface Schema {
  readonly $schema?: string;
  readonly type?: string;
  readonly additionalProperties?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Values that the schema does not describe, and described ones that have no default. */
function unknownTo(schema: Schema, values: unknown, path: string): readonly string[] {
  if (!isMap(values) || schema.properties === undefined) return [];
  const described = schema.properties;
  const names = values.items.map(({ key }) => (isScalar(key) ? String(key.value) : '?'));
  const absent = Object.keys(described).filter((name) => !names.includes(name));
  // Helm itself passes `global` down; and these depend on others.
  const optional = ['/global', '/nodeAgent/seLinuxOptions/role', '/nodeAgent/seLinuxOptions/user'];
  return [
    ...names.filter((name) => described[name] === undefined).map((name) => `${path}/${name} is not in the schema`),
    ...absent
      .map((name) => `${path}/${name}`)
      .filter((name) => !optional.includes(name) && !/issuerRef|seccompProfile/.test(name))
      .map((name) => `${name} has no default`),
    ...names.flatMap((name) => unknownTo(described[name] ?? {}, values.get(name, true), `${path}/${name}`)),
  ];
}

/** Objects with named properties that would take a misspelt one. */
const openObjects = (schema: Schema, path: string): readonly string[] => [
  ...(schema.properties && schema.additionalProperties !== false ? [`${path} takes anything`] : []),
  ...Object.entries(schema.properties ?? {}).flatMap(([name, each]) => openObjects(each, `${path}/${name}`)),
];
