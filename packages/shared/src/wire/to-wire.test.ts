import assert from 'node:assert/strict';
import type { ClusterIdentity, ClusterName } from '../model/cluster.ts';
import { cidr, ip } from '../model/ip.ts';
import { sampleEndpoint, sampleService } from '../model/samples.fixture.ts';
import { type LocalEndpoint, type LocalService, type Origin, serviceKey } from '../model/service.ts';
import { remoteServiceFromWire } from './from-wire.ts';
import { encodeIdentity } from './identity.ts';
import { encodeIpEntry } from './ip-entry.ts';
import { encodeNode } from './node.ts';
import { decodeService, encodeService, TERMINATING_LABEL, type WirePort, type WireService } from './service.ts';
import { wireIdentity, wireIpEntry, wireNode, wireService } from './to-wire.ts';

const east: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
const origin: Origin = { source: 'kubernetes', revision: '7', at: 0 };

const KEY = serviceKey('shop', 'cart');
const CART = { clusterIps: [ip('10.96.7.20')], labels: { app: 'cart' }, selector: { app: 'cart' } };

const service = (fields: Partial<LocalService> = {}): LocalService => sampleService(KEY, { ...CART, ...fields });

describe('wireService()', () => {
  it('gives what Cilium writes for the same Service', () => {
    const wire = wireService(east, service(), [
      sampleEndpoint('10.1.4.9'),
      sampleEndpoint('10.1.3.17', { hostname: 'cart-0', zone: 'eu-1a', zoneHints: ['eu-1a'] }),
    ]);
    assert.equal(
      encodeService(wire),
      '{"cluster":"east","namespace":"shop","name":"cart",' +
        '"frontends":{"10.96.7.20":{"http":{"Protocol":"TCP","Port":80}}},' +
        '"backends":{"10.1.3.17":{"http":{"Protocol":"TCP","Port":8080}},"10.1.4.9":{"http":{"Protocol":"TCP","Port":8080}}},' +
        '"hostnames":{"10.1.3.17":"cart-0"},' +
        '"zones":{"10.1.3.17":{"zone":"eu-1a","forZones":[{"name":"eu-1a"}]}},' +
        '"labels":{"app":"cart"},"selector":{"app":"cart"},' +
        '"includeExternal":true,"shared":true,"clusterID":1}',
    );
  });

  const terminating = sampleEndpoint('10.0.0.1', { ready: false, serving: true, terminating: true });

  it('takes the endpoints that are ready, and those that are terminating and serve when none is ready', () => {
    const ready = sampleEndpoint('10.0.0.2', { ready: true, serving: false });
    const unready = sampleEndpoint('10.0.0.3', { ready: false, serving: false });
    const taken = (...endpoints: LocalEndpoint[]) => [
      ...(wireService(east, service(), endpoints).backends?.keys() ?? []),
    ];
    assert.deepEqual(taken(terminating, ready, unready), ['10.0.0.2']);
    assert.deepEqual(taken(terminating, unready), ['10.0.0.1']);
    assert.deepEqual(taken(unready), []);
    assert.deepEqual(taken(sampleEndpoint('10.0.0.4', { ready: false, serving: true, terminating: false })), []);
    assert.deepEqual(taken(sampleEndpoint('10.0.0.5', { ready: false, serving: false, terminating: true })), []);
  });

  it('says by a label when all that it gives is terminating, and never by a label of the Service', () => {
    const ready = sampleEndpoint('10.0.0.2');
    const labels = { app: 'cart', [TERMINATING_LABEL]: 'true' };
    const said = (...endpoints: LocalEndpoint[]) =>
      wireService(east, service({ labels }), endpoints).labels?.get(TERMINATING_LABEL);
    assert.equal(said(terminating), 'true');
    assert.equal(said(terminating, ready), undefined);
    assert.equal(said(ready), undefined);
    assert.equal(said(), undefined);
    assert.equal(said(sampleEndpoint('10.0.0.3', { ready: false, serving: false })), undefined);
  });

  describe('where endpoints share an address', () => {
    const port = (number: number, name = 'http') => ({ name, protocol: 'TCP', port: number }) as const;
    const at = (...ports: (readonly [number, Partial<LocalEndpoint>])[]) =>
      ports.map(([number, more]) => sampleEndpoint('192.168.0.1', { ports: [port(number)], ...more }));
    const ports = (endpoints: readonly LocalEndpoint[]) =>
      [...(wireService(east, service(), endpoints).backends?.get('192.168.0.1') ?? [])].map(
        ([name, { port: number }]) => `${name} ${number}`,
      );
    const either = (endpoints: readonly LocalEndpoint[], expected: readonly string[]) => {
      assert.deepEqual(ports(endpoints), expected);
      assert.deepEqual(ports(endpoints.toReversed()), expected);
    };

    it('gives the port of the one that is ready', () => {
      either(at([8080, { ready: false, serving: false }], [9090, {}]), ['http 9090']);
      either(at([8080, {}], [9090, { ready: false, serving: false }]), ['http 8080']);
    });

    it('gives the lowest of two that are ready, and both where their names differ', () => {
      either(at([9090, {}], [8080, {}]), ['http 8080']);
      const admin = sampleEndpoint('192.168.0.1', { ports: [port(9000, 'admin')] });
      assert.deepEqual(ports([...at([8080, {}]), admin]).toSorted(), ['admin 9000', 'http 8080']);
    });

    it('gives the same zone and hostname in any order', () => {
      const endpoints = at([8080, { zone: 'b', zoneHints: ['b'], hostname: '' }], [9090, { zone: 'a', hostname: 'h' }]);
      const text = (some: readonly LocalEndpoint[]) => encodeService(wireService(east, service(), some));
      assert.equal(text(endpoints), text(endpoints.toReversed()));
      assert.match(text(endpoints), /"hostnames":\{"192.168.0.1":"h"\},"zones":\{"192.168.0.1":\{"zone":"a"/);
    });
  });

  it('writes {} as the frontends of a headless Service and {} for what is empty', () => {
    const json = encodeService(wireService(east, service({ clusterIps: [], labels: {}, selector: {} }), []));
    assert.match(json, /"frontends":\{\},"backends":\{\},"labels":\{\},"selector":\{\}/);
  });

  it('names an unnamed port "" and keeps several names on one port', () => {
    const ports = [
      { name: '', protocol: 'TCP', port: 1 },
      { name: 'b', protocol: 'TCP', port: 1 },
    ] as const;
    const wire = wireService(east, service(), [sampleEndpoint('10.0.0.1', { ports })]);
    assert.match(
      encodeService(wire),
      /\{"10.0.0.1":\{"":\{"Protocol":"TCP","Port":1\},"b":\{"Protocol":"TCP","Port":1\}\}\}/,
    );
  });

  it('is readable by our own reader', () => {
    const wire = wireService(east, service(), [sampleEndpoint('10.1.3.17', { zone: 'eu-1a', hostname: 'h' })]);
    const decoded = decodeService(encodeService(wire), {
      cluster: 'east',
      clusterId: 1,
      maxClusters: 255,
      suffix: 'shop/cart',
    });
    assert.ok(decoded.ok);
    assert.deepEqual(remoteServiceFromWire(decoded.value, origin), {
      key: 'shop/cart',
      shared: true,
      terminating: false,
      frontendPorts: [{ name: 'http', protocol: 'TCP', port: 80 }],
      backends: [{ address: '10.1.3.17', ports: [{ name: 'http', protocol: 'TCP', port: 8080 }], zone: 'eu-1a' }],
      origin,
    });
  });
});

describe('remoteServiceFromWire()', () => {
  const from = (backends: Record<string, Record<string, WirePort>>, more: Partial<WireService> = {}) =>
    remoteServiceFromWire(
      {
        ...wireService(east, service(), []),
        backends: new Map(Object.entries(backends).map(([text, ports]) => [text, new Map(Object.entries(ports))])),
        ...more,
      },
      origin,
    ).backends;

  it('takes ANY for every protocol and leaves out NONE and unknown ones', () => {
    const [backend] = from({
      '10.0.0.1': {
        a: { protocol: 'ANY', port: 1 },
        b: { protocol: 'NONE', port: 2 },
        c: { protocol: 'ICMP', port: 3 },
        d: { protocol: 'SCTP', port: 4 },
      },
    });
    assert.deepEqual(backend?.ports, [
      { name: 'a', protocol: 'SCTP', port: 1 },
      { name: 'a', protocol: 'TCP', port: 1 },
      { name: 'a', protocol: 'UDP', port: 1 },
      { name: 'd', protocol: 'SCTP', port: 4 },
    ]);
  });

  it('takes one address in two spellings for one backend', () => {
    const zones = new Map([['0:0::1', { zone: 'z', forZones: null }]]);
    assert.deepEqual(
      from({ '::1': { a: { protocol: 'TCP', port: 1 } }, '0:0::1': { b: { protocol: 'TCP', port: 2 } } }, { zones }),
      [
        {
          address: '::1',
          ports: [
            { name: 'a', protocol: 'TCP', port: 1 },
            { name: 'b', protocol: 'TCP', port: 2 },
          ],
          zone: 'z',
        },
      ],
    );
  });

  it('has no backends where the map is null', () => {
    assert.deepEqual(from({}, { backends: null }), []);
  });
});

describe('wireNode(), wireIpEntry() and wireIdentity()', () => {
  it('write a node with its prefixes by family', () => {
    const node = wireNode(east, {
      name: 'n1',
      addresses: [{ type: 'InternalIP', ip: ip('192.168.1.11') }],
      podCidrs: [cidr('10.1.3.0/24'), cidr('fd00:1::/64'), cidr('10.1.4.0/24')],
      labels: { 'kubernetes.io/hostname': 'n1' },
    });
    assert.equal(
      encodeNode(node),
      '{"Name":"n1","Cluster":"east","IPAddresses":[{"Type":"InternalIP","IP":"192.168.1.11"}],' +
        '"IPv4AllocCIDR":{"IP":"10.1.3.0","Mask":"////AA=="},"IPv4SecondaryAllocCIDRs":[{"IP":"10.1.4.0","Mask":"////AA=="}],' +
        '"IPv6AllocCIDR":{"IP":"fd00:1::","Mask":"//////////8AAAAAAAAAAA=="},"IPv6SecondaryAllocCIDRs":null,' +
        '"IPv4HealthIP":"","IPv6HealthIP":"","IPv4IngressIP":"","IPv6IngressIP":"","ClusterID":1,"Source":"custom-resource",' +
        '"EncryptionKey":0,"Labels":{"kubernetes.io/hostname":"n1"},"Annotations":null,"WireguardPubKey":"","BootID":""}',
    );
  });

  it('write a pod as an ip entry', () => {
    const entry = wireIpEntry({
      ip: ip('10.1.3.17'),
      hostIp: ip('192.168.1.11'),
      identity: 70210,
      namespace: 'shop',
      pod: 'cart-0',
      serviceAccount: 'default',
    });
    assert.equal(
      encodeIpEntry(entry),
      '{"IP":"10.1.3.17","Mask":null,"HostIP":"192.168.1.11","ID":70210,"Key":0,"Metadata":"","K8sNamespace":"shop","K8sPodName":"cart-0","K8sServiceAccount":"default"}',
    );
  });

  it('write an identity with the labels of pod, namespace and cluster, sorted', () => {
    const identity = wireIdentity(east, {
      id: 70210,
      namespace: 'shop',
      serviceAccount: 'default',
      podLabels: { app: 'cart', 'io.cilium.k8s.policy.cluster': 'forged' },
      namespaceLabels: { 'kubernetes.io/metadata.name': 'shop' },
    });
    assert.equal(
      encodeIdentity(identity),
      'k8s:app=cart;k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop;k8s:io.cilium.k8s.policy.cluster=east;' +
        'k8s:io.cilium.k8s.policy.serviceaccount=default;k8s:io.kubernetes.pod.namespace=shop;',
    );
  });
});
