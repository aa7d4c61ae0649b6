import assert from 'node:assert/strict';
import { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { EAST, namespace, pod } from './facts.fixture.ts';
import { identityText } from './identity-labels.ts';
import { IdentityNumbers } from './identity-numbers.ts';
import { PodExport } from './pod-export.ts';

const RANGE = { first: 65_536, last: 131_071 };

describe('identityText()', () => {
  it('has the labels of pod and namespace, the service account and the cluster, sorted', () => {
    const cart = pod('shop/cart', '10.1.0.1', { serviceAccount: 'till', labels: { app: 'cart', zoo: 'x' } });
    assert.equal(
      identityText(EAST, cart, { 'kubernetes.io/metadata.name': 'shop' }),
      'k8s:app=cart;k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop;k8s:io.cilium.k8s.policy.cluster=east;' +
        'k8s:io.cilium.k8s.policy.serviceaccount=till;k8s:io.kubernetes.pod.namespace=shop;k8s:zoo=x;',
    );
  });

  it('leaves out labels that differ from pod to pod, and those that claim to be facts', () => {
    const labels = {
      'pod-template-hash': 'x',
      'controller-revision-hash': 'x',
      'statefulset.kubernetes.io/pod-name': 'cart-0',
      'apps.kubernetes.io/pod-index': '0',
      'batch.kubernetes.io/controller-uid': 'x',
      'kubernetes.io/os': 'linux',
      'io.cilium.k8s.policy.cluster': 'west',
      'app.kubernetes.io/name': 'cart',
      'batch.kubernetes.io/job-name': 'j',
    };
    assert.equal(
      identityText(EAST, pod('shop/cart', '10.1.0.1', { labels }), {}),
      'k8s:app.kubernetes.io/name=cart;k8s:batch.kubernetes.io/job-name=j;k8s:io.cilium.k8s.policy.cluster=east;' +
        'k8s:io.cilium.k8s.policy.serviceaccount=default;k8s:io.kubernetes.pod.namespace=shop;',
    );
  });
});

describe('IdentityNumbers', () => {
  it('gives equal texts one number in the range, and keeps it', () => {
    const numbers = new IdentityNumbers(RANGE);
    const first = numbers.use('p1', 'a;');
    assert(first !== undefined && first >= RANGE.first && first <= RANGE.last);
    assert.equal(numbers.use('p2', 'a;'), first);
    assert.notEqual(numbers.use('p3', 'b;'), first);
    assert.equal(new IdentityNumbers(RANGE).use('p', 'a;'), first);
  });

  it('takes over what is in etcd, the first of two for one text, and nothing outside of the range', () => {
    const numbers = new IdentityNumbers(RANGE);
    numbers.adopt(70_000, 'a;');
    numbers.adopt(70_001, 'a;');
    numbers.adopt(70_000, 'b;');
    numbers.adopt(1_000_000, 'c;');
    assert.equal(numbers.use('p1', 'a;'), 70_000);
    assert.notEqual(numbers.use('p2', 'b;'), 70_000);
    assert.notEqual(numbers.use('p3', 'c;'), 1_000_000);
    assert.deepEqual(numbers.takeChanges().get('70000'), 'a;');
    assert(!numbers.takeChanges().has('70001'));
  });

  it('withdraws an unused number after fifteen sweeps, and gives it to the same text again', () => {
    const numbers = new IdentityNumbers(RANGE);
    const number = numbers.use('p', 'a;');
    assert.deepEqual([...numbers.takeChanges()], [[`${number}`, 'a;']]);
    numbers.release('p');
    for (let i = 0; i < 14; i++) numbers.sweep();
    assert.equal(numbers.takeChanges().size, 0);
    numbers.use('q', 'a;');
    numbers.release('q');
    for (let i = 0; i < 14; i++) numbers.sweep();
    assert.equal(numbers.takeChanges().size, 0);
    numbers.sweep();
    assert.deepEqual([...numbers.takeChanges()], [[`${number}`, undefined]]);
    assert.equal(numbers.use('p', 'a;'), number);
    assert.deepEqual([...numbers.takeChanges()], [[`${number}`, 'a;']]);
  });

  it('uses every number, then none, and forgets unused ones only when it must', () => {
    const numbers = new IdentityNumbers({ first: 65_536, last: 65_539 });
    const given = ['a', 'b', 'c', 'd'].map((text) => numbers.use(text, text));
    assert.deepEqual(given.toSorted(), [65_536, 65_537, 65_538, 65_539]);
    assert.equal(numbers.use('e', 'e'), undefined);
    numbers.release('b');
    assert.equal(numbers.use('e', 'e'), undefined);
    for (let i = 0; i < 15; i++) numbers.sweep();
    numbers.takeChanges();
    assert.equal(numbers.use('e', 'e'), given[1]);
  });
});

describe('PodExport', () => {
  let facts: LocalFacts;
  let numbers: IdentityNumbers;
  let pods: PodExport;
  beforeEach(() => {
    facts = new LocalFacts(true);
    numbers = new IdentityNumbers(RANGE);
    pods = new PodExport(EAST, facts, numbers);
    facts.setNamespace('shop', namespace('shop', { labels: { team: 'a' } }));
  });

  const changes = () =>
    [...pods.takeChanges()].map(([suffix, value]) =>
      value === undefined ? `${suffix} gone` : `${suffix} ${JSON.parse(value).K8sPodName}`,
    );

  it('writes every address with its node and identity', () => {
    const addresses = [ip('10.1.0.1'), ip('fd00::1')];
    pods.podChanged('shop/cart', pod('shop/cart', '10.1.0.1', { addresses, labels: { app: 'cart' } }));
    const [[id, text] = []] = [...pods.identities.takeChanges(0)];
    assert.match(text ?? '', /k8s:io.cilium.k8s.namespace.labels.team=a;/);
    const entries = pods.takeChanges();
    assert.deepEqual([...entries.keys()], ['10.1.0.1', 'fd00::1']);
    assert.deepEqual(JSON.parse(entries.get('fd00::1') ?? ''), {
      IP: 'fd00::1',
      Mask: null,
      HostIP: '192.168.0.1',
      ID: Number(id),
      Key: 0,
      Metadata: '',
      K8sNamespace: 'shop',
      K8sPodName: 'cart',
      K8sServiceAccount: 'default',
    });
  });

  it('gives an address to the older pod, and to the next when it goes', () => {
    pods.podChanged('shop/young', pod('shop/young', '10.1.0.1', { createdAt: '2026-01-02T00:00:00Z' }));
    assert.deepEqual(changes(), ['10.1.0.1 young']);
    pods.podChanged('shop/old', pod('shop/old', '10.1.0.1'));
    assert.deepEqual(changes(), ['10.1.0.1 old']);
    pods.podChanged('shop/old', pod('shop/old', '10.1.0.2'));
    assert.deepEqual(changes(), ['10.1.0.1 young', '10.1.0.2 old']);
    pods.podChanged('shop/young', undefined);
    assert.deepEqual(changes(), ['10.1.0.1 gone']);
  });

  it('follows the namespace: whether it takes part, and its labels', () => {
    pods.podChanged('shop/cart', pod('shop/cart', '10.1.0.1'));
    changes();
    facts.setNamespace('shop', namespace('shop', { global: false }));
    assert.deepEqual(changes(), ['10.1.0.1 gone']);
    facts.setNamespace('shop', namespace('shop', { labels: { team: 'a' } }));
    assert.deepEqual(changes(), ['10.1.0.1 cart']);
    const before = numbers.numberOf('shop/cart');
    facts.setNamespace('shop', namespace('shop', { labels: { team: 'b' } }));
    assert.deepEqual(changes(), ['10.1.0.1 cart']);
    assert.notEqual(numbers.numberOf('shop/cart'), before);
  });

  it('leaves out pods for which no number is left, and says which', () => {
    const tight = new PodExport(EAST, facts, new IdentityNumbers({ first: 65_536, last: 65_536 }));
    tight.podChanged('shop/a', pod('shop/a', '10.1.0.1', { labels: { app: 'a' } }));
    tight.podChanged('shop/b', pod('shop/b', '10.1.0.2', { labels: { app: 'b' } }));
    assert.deepEqual([...tight.takeChanges().keys()], ['10.1.0.1']);
    assert.deepEqual([...tight.withoutIdentity], ['shop/b']);
    tight.podChanged('shop/b', undefined);
    tight.takeChanges();
    assert.deepEqual([...tight.withoutIdentity], []);
  });
});
