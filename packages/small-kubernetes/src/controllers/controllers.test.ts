import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { Node, Pod, Workload } from '../api/kinds/typed.ts';
import { tables } from '../api/kinds/typed.ts';
import { fieldAt, type JsonObject, type KubeObject, type NewObject } from '../api/objects.ts';
import { type KubernetesApi, startKubernetesApi } from '../api/start.ts';

/** Each controller works a turn of the event loop after the change that concerns it. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

const manifest = (
  apiVersion: string,
  kind: string,
  name: string,
  more: JsonObject = {},
): NewObject & { apiVersion: string; kind: string } => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default', labels: { app: name } },
  ...more,
});

const deployment = (name: string, replicas: number, image = 'i:1') =>
  manifest('apps/v1', 'Deployment', name, {
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image }] } },
    },
  });

describe('controllers', () => {
  let api: KubernetesApi;
  const pods = () => api.store.list(tables.pods, 'default') as Pod[];
  const slices = () => api.store.list(tables.endpointSlices, 'default');
  const get = <T extends KubeObject>(table: string, name: string) => api.store.get(table, 'default', name) as T;

  function addNode(name: string, ready = true, more: Partial<Node> = {}): Node {
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {}, status: { conditions }, ...more };
    return api.operations.createObject(node) as Node;
  }

  function makeReady(pod: Pod, ip: string): void {
    const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] };
    api.operations.change(pod, (draft) => void Object.assign(draft.status, status), { subresource: 'status' });
  }

  beforeEach(async () => {
    api = await startKubernetesApi({ port: 0 });
  });
  afterEach(() => api.close());

  it('namespaces exist with their ServiceAccount, and take all they hold with them', async () => {
    assert.ok(api.store.get(tables.serviceAccounts, 'kube-system', 'default'));
    api.operations.createObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } });
    await settled();
    assert.ok(api.store.get(tables.serviceAccounts, 'x', 'default'));
    const bound = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'x' },
      spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
    };
    const pod = api.operations.createObject(bound);
    api.operations.deleteObject(api.store.get(tables.namespaces, '', 'x') as KubeObject);
    await settled();
    assert.equal(fieldAt(api.store.get(tables.namespaces, '', 'x'), 'status.phase'), 'Terminating');
    assert.throws(() => api.operations.createObject(bound), /is being terminated/);
    api.operations.deleteObject(pod, { gracePeriodSeconds: 0 });
    await settled();
    assert.equal(api.store.get(tables.namespaces, '', 'x'), undefined);
    assert.equal(api.store.get(tables.serviceAccounts, 'x', 'default'), undefined);
  });

  it('a Deployment gets its pods on Ready nodes in turn, and a status that counts them', async () => {
    addNode('n1');
    addNode('n2');
    addNode('broken', false);
    api.operations.createObject(deployment('web', 4));
    await settled();
    assert.deepEqual(
      pods()
        .map(({ spec }) => spec.nodeName)
        .sort(),
      ['n1', 'n1', 'n2', 'n2'],
    );
    for (const [at, pod] of pods().entries()) makeReady(pod, `10.0.0.${at + 1}`);
    await settled();
    const { status, metadata } = get<Workload>(tables.deployments, 'web');
    assert.deepEqual(
      [status.replicas, status.readyReplicas, status.availableReplicas, status.updatedReplicas],
      [4, 4, 4, 4],
    );
    assert.equal(status.observedGeneration, metadata.generation);
    assert.equal(status.conditions?.find(({ type }) => type === 'Available')?.status, 'True');
  });

  it('scaling down takes pods that are not ready first', async () => {
    api.operations.createObject(deployment('web', 3));
    await settled();
    const keep = pods()[1];
    assert.ok(keep);
    makeReady(keep, '10.0.0.1');
    api.operations.change(
      get<Workload>(tables.deployments, 'web'),
      ({ spec }) => void Object.assign(spec, { replicas: 1 }),
    );
    await settled();
    assert.deepEqual(
      pods().map(({ metadata }) => metadata.name),
      [keep.metadata.name],
    );
  });

  it('a new template replaces the pods as they become ready', async () => {
    api.operations.createObject(deployment('web', 2));
    await settled();
    for (const pod of pods()) makeReady(pod, '10.0.0.1');
    await settled();
    api.operations.change(
      get<Workload>(tables.deployments, 'web'),
      ({ spec }) => void Object.assign(spec.template.spec.containers[0] ?? {}, { image: 'i:2' }),
    );
    for (let turn = 0; turn < 6; turn++) {
      await settled();
      assert.ok(pods().filter(({ status }) => status.phase === 'Running').length >= 2);
      for (const pod of pods()) makeReady(pod, '10.0.0.1');
    }
    assert.deepEqual(
      pods().map(({ spec }) => spec.containers[0]?.image),
      ['i:2', 'i:2'],
    );
    assert.deepEqual(
      (api.store.list(tables.replicaSets) as Workload[]).map(({ spec }) => spec.replicas).sort(),
      [0, 2],
    );
  });

  it('deleting an owner takes its dependents; as an orphan it leaves them', async () => {
    api.operations.createObject(deployment('web', 2));
    await settled();
    api.operations.deleteObject(get(tables.deployments, 'web'), { propagationPolicy: 'Orphan' });
    await settled();
    assert.equal(pods().length, 2);
    const [set] = api.store.list(tables.replicaSets);
    assert.ok(set && set.metadata.ownerReferences === undefined);
    api.operations.deleteObject(set, { propagationPolicy: 'Foreground' });
    await settled();
    assert.deepEqual([pods(), api.store.list(tables.replicaSets)], [[], []]);
  });

  it('a pod without a fitting node waits for one', async () => {
    addNode('n1', true, { metadata: { name: 'n1', uid: '', resourceVersion: '', creationTimestamp: '' } });
    const pod = manifest('v1', 'Pod', 'p', {
      spec: { nodeSelector: { disk: 'ssd' }, containers: [{ name: 'c', image: 'i' }] },
    });
    api.operations.createObject(pod);
    await settled();
    const waiting = get<Pod>(tables.pods, 'p');
    assert.equal(waiting.spec.nodeName, undefined);
    assert.equal(waiting.status.conditions?.[0]?.reason, 'Unschedulable');
    api.operations.change(
      api.store.get(tables.nodes, '', 'n1') as Node,
      ({ metadata }) => void Object.assign(metadata, { labels: { disk: 'ssd' } }),
    );
    await settled();
    assert.equal(get<Pod>(tables.pods, 'p').spec.nodeName, 'n1');
  });

  it('EndpointSlices follow pods, their readiness, the zone of the node, and go with the Service', async () => {
    const node = addNode('n1');
    api.operations.createObject(
      manifest('v1', 'Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } }),
    );
    api.operations.createObject(deployment('web', 1));
    await settled();
    assert.deepEqual(
      slices().map((slice) => slice['endpoints']),
      [[]],
    );
    const [pod] = pods();
    assert.ok(pod);
    makeReady(pod, '10.0.0.9');
    await settled();
    const endpoint = () => fieldAt(slices()[0], 'endpoints') as JsonObject[];
    assert.deepEqual(endpoint()[0]?.['addresses'], ['10.0.0.9']);
    assert.deepEqual(slices()[0]?.['ports'], [{ name: '', port: 8080, protocol: 'TCP' }]);
    api.operations.change(
      node,
      ({ metadata }) => void Object.assign(metadata, { labels: { 'topology.kubernetes.io/zone': 'z' } }),
    );
    await settled();
    assert.equal(endpoint()[0]?.['zone'], 'z');
    api.operations.deleteObject(get(tables.pods, pod.metadata.name));
    await settled();
    const old = endpoint().find(({ targetRef }) => fieldAt(targetRef, 'name') === pod.metadata.name);
    assert.deepEqual(old?.['conditions'], { ready: false, serving: true, terminating: true });
    api.operations.deleteObject(get(tables.services, 'web'));
    await settled();
    assert.deepEqual(slices(), []);
    assert.equal(get(tables.endpoints, 'web'), undefined);
  });

  it('an EndpointSlice that somebody deletes comes back', async () => {
    api.operations.createObject(
      manifest('v1', 'Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } }),
    );
    await settled();
    const [slice] = slices();
    assert.ok(slice);
    api.operations.deleteObject(slice);
    await settled();
    assert.equal(slices().length, 1);
  });
});
