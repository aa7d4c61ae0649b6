import assert from 'node:assert/strict';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { ApiError } from './api-error.ts';
import { builtinResources } from './builtin-resources.ts';
import type { Service } from './kinds/typed.ts';
import { fieldAt, type JsonObject, type KubeObject, listAt } from './objects.ts';
import { Operations } from './operations.ts';
import { Registry, type ResourceDefinition } from './resource.ts';
import { Store } from './store.ts';

function setUp(cidrs: readonly string[] = ['10.96.0.0/24']) {
  const store = new Store({
    historySize: 100,
    firstRevision: 0,
    onListenerError: (error) => assert.fail(String(error)),
  });
  const registry = new Registry(builtinResources);
  const operations = new Operations({ store, registry, serviceRanges: cidrs.map(cidr) });
  operations.create(definition('namespaces'), '', { metadata: { name: 'x' } });
  return { store, operations };
}

function definition(resource: string): ResourceDefinition {
  const found = builtinResources.find((d) => d.resource === resource);
  assert.ok(found);
  return found;
}

const at = (definition: ResourceDefinition, name: string) => ({ definition, namespace: 'x', name });
const pods = definition('pods');
const services = definition('services');
const configMaps = definition('configmaps');

const pod = (name: string, more: JsonObject = {}) => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i' }], ...more },
});
const service = (name: string, spec: JsonObject = {}) => ({
  metadata: { name },
  spec: { selector: { app: 'a' }, ports: [{ port: 80 }], ...spec },
});
function refusal(action: () => unknown): ApiError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error;
  }
  return assert.fail('expected a refusal');
}

describe('Operations', () => {
  it('create() fills in what the server owns, and refuses a second of the name', () => {
    const { operations } = setUp();
    const made = operations.create(configMaps, 'x', { metadata: { name: 'a', generation: 7 } });
    assert.deepEqual([made.apiVersion, made.kind, made.metadata.namespace], ['v1', 'ConfigMap', 'x']);
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.equal(made.metadata.generation, undefined);
    assert.equal(
      refusal(() => operations.create(configMaps, 'x', { metadata: { name: 'a' } })).reason,
      'AlreadyExists',
    );
  });

  it('create() makes a name from generateName', () => {
    const { operations } = setUp();
    const made = operations.create(configMaps, 'x', { metadata: { generateName: 'a-' } });
    assert.match(made.metadata.name, /^a-[a-z0-9]{5}$/);
  });

  const badCreates: readonly (readonly [string, ResourceDefinition, unknown, number, RegExp])[] = [
    ['a bad name', configMaps, { metadata: { name: 'A b' } }, 422, /a lowercase RFC 1123 subdomain/],
    ['another kind', configMaps, { kind: 'Secret', metadata: { name: 'a' } }, 400, /cannot be handled as a ConfigMap/],
    ['a body that is no object', configMaps, [], 400, /not a JSON or YAML object/],
    ['no containers', pods, { metadata: { name: 'a' } }, 422, /spec.containers: Required/],
    ['a bad port', services, service('a', { ports: [{ port: 0 }] }), 422, /spec.ports\[0\].port: Invalid value: 0/],
    ['no ports', services, service('a', { ports: [] }), 422, /spec.ports: Required/],
    ['a cluster address outside', services, service('a', { clusterIP: '1.2.3.4' }), 422, /not in the valid range/],
    [
      'a node port outside',
      services,
      service('a', { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }),
      422,
      /30000-32767/,
    ],
    ['a family that is not there', services, service('a', { ipFamilies: ['IPv6'] }), 422, /IPv6 is not configured/],
  ];
  for (const [name, kind, body, code, message] of badCreates) {
    it(`create() refuses ${name}`, () => {
      const { operations, store } = setUp();
      const { revision } = store;
      const error = refusal(() => operations.create(kind, 'x', body));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(store.revision, revision);
      if (code === 422) assert.ok(fieldAt(listAt(error.details, 'causes')[0], 'field') !== undefined);
    });
  }

  it('patch() that changes nothing takes no revision', () => {
    const { operations, store } = setUp();
    const made = operations.create(services, 'x', service('a'));
    const { revision } = store;
    assert.equal(
      operations.patch(at(services, 'a'), () => made),
      made,
    );
    operations.patch(at(services, 'a'), () => service('a'));
    assert.equal(store.revision, revision, 'nor one that leaves out what was allocated and defaulted');
  });

  it('dryRun answers as if, and stores nothing', () => {
    const { operations, store } = setUp();
    const { revision } = store;
    const tried = operations.create(services, 'x', service('a'), { dryRun: true }) as Service;
    assert.ok(tried.spec.clusterIP);
    operations.create(services, 'x', service('b'));
    operations.delete(at(services, 'b'), { dryRun: true });
    operations.patch(at(services, 'b'), () => service('b', { sessionAffinity: 'ClientIP' }), { dryRun: true });
    assert.equal(store.revision, revision + 1);
  });

  it('delete() of a scheduled pod waits for the kubelet, of others it does not', () => {
    const { operations } = setUp();
    operations.create(pods, 'x', pod('waiting'));
    assert.equal(operations.delete(at(pods, 'waiting')).removed, true);
    operations.create(pods, 'x', pod('bound', { nodeName: 'n' }));
    const marked = operations.delete(at(pods, 'bound'));
    assert.deepEqual([marked.removed, marked.object.metadata.deletionGracePeriodSeconds], [false, 30]);
    assert.equal(
      operations.delete(at(pods, 'bound'), { gracePeriodSeconds: 60 }).object.metadata.deletionGracePeriodSeconds,
      30,
    );
    assert.equal(
      operations.delete(at(pods, 'bound'), { gracePeriodSeconds: 5 }).object.metadata.deletionGracePeriodSeconds,
      5,
    );
    assert.equal(operations.delete(at(pods, 'bound'), { gracePeriodSeconds: 0 }).removed, true);
  });
});

describe('allocateService()', () => {
  const specOf = (object: KubeObject) => (object as Service).spec;

  it('gives each Service its own address, and takes it back with the Service', () => {
    const { operations } = setUp(['10.96.0.0/30']);
    const made = ['a', 'b', 'c'].map((name) => specOf(operations.create(services, 'x', service(name))).clusterIP);
    assert.deepEqual(made, ['10.96.0.1', '10.96.0.2', '10.96.0.3']);
    assert.match(refusal(() => operations.create(services, 'x', service('d'))).message, /no free IPv4 address/);
    operations.delete(at(services, 'b'));
    assert.equal(specOf(operations.create(services, 'x', service('d'))).clusterIP, '10.96.0.2');
  });

  it('gives the address that was asked for, once', () => {
    const { operations } = setUp();
    assert.equal(
      specOf(operations.create(services, 'x', service('a', { clusterIP: '10.96.0.77' }))).clusterIP,
      '10.96.0.77',
    );
    const error = refusal(() => operations.create(services, 'x', service('b', { clusterIP: '10.96.0.77' })));
    assert.match(error.message, /already allocated/);
  });

  it('keeps addresses and node ports through updates, and refuses another address', () => {
    const { operations } = setUp();
    const made = specOf(operations.create(services, 'x', service('a', { type: 'NodePort' })));
    const next = specOf(
      operations.patch(at(services, 'a'), () =>
        service('a', {
          type: 'NodePort',
          ports: [{ port: 80 }, { port: 81, name: 'b' }].map((p, i) => ({ name: `p${i}`, ...p })),
        }),
      ),
    );
    assert.equal(next.clusterIP, made.clusterIP);
    assert.equal(next.ports?.[0]?.nodePort, made.ports?.[0]?.nodePort);
    assert.ok(next.ports?.[1]?.nodePort && next.ports[1].nodePort !== next.ports[0]?.nodePort);
    const moved = service('a', { clusterIP: '10.96.0.200' });
    assert.match(refusal(() => operations.patch(at(services, 'a'), () => moved)).message, /may not change once set/);
  });

  it('takes node ports away from what is no NodePort any more', () => {
    const { operations } = setUp();
    operations.create(services, 'x', service('a', { type: 'NodePort' }));
    assert.equal(specOf(operations.patch(at(services, 'a'), () => service('a'))).ports?.[0]?.nodePort, undefined);
  });

  const families: readonly (readonly [string, readonly string[], JsonObject, readonly string[], readonly RegExp[]])[] =
    [
      ['the first family by default', ['10.96.0.0/24', 'fd00::/112'], {}, ['IPv4'], [/^10\.96/]],
      [
        'both when preferred',
        ['10.96.0.0/24', 'fd00::/112'],
        { ipFamilyPolicy: 'PreferDualStack' },
        ['IPv4', 'IPv6'],
        [/^10\.96/, /^fd00/],
      ],
      ['one when the other is missing', ['10.96.0.0/24'], { ipFamilyPolicy: 'PreferDualStack' }, ['IPv4'], [/^10\.96/]],
      [
        'the order that was asked for',
        ['10.96.0.0/24', 'fd00::/112'],
        { ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'RequireDualStack' },
        ['IPv6', 'IPv4'],
        [/^fd00/, /^10\.96/],
      ],
      ['IPv6 alone', ['10.96.0.0/24', 'fd00::/112'], { ipFamilies: ['IPv6'] }, ['IPv6'], [/^fd00/]],
      ['None for headless', ['10.96.0.0/24'], { clusterIP: 'None' }, ['IPv4'], [/^None$/]],
    ];
  for (const [name, cidrs, spec, expected, patterns] of families) {
    it(`gives ${name}`, () => {
      const { operations } = setUp(cidrs);
      const made = specOf(operations.create(services, 'x', service('a', spec)));
      assert.deepEqual(made.ipFamilies, expected);
      assert.equal(made.clusterIP, made.clusterIPs?.[0]);
      assert.equal(made.clusterIPs?.length, patterns.length);
      for (const [at, pattern] of patterns.entries()) assert.match(made.clusterIPs?.[at] ?? '', pattern);
    });
  }
});
