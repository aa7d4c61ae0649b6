import assert from 'node:assert/strict';
import { CHARTS } from './combinations.ts';
import { CHART, EAST, helm, type Json, type Manifest, setting, template } from './helm.ts';
import { violations } from './invariants.ts';
import { containerOf, workloads } from './workloads.ts';

/** Renderings under way at a time. */
const PARALLEL = 2;

const find = (manifests: readonly Manifest[], kind: string, name: string): Manifest | undefined =>
  manifests.find((each) => each.kind === kind && each.metadata.name === name);

const METALLB_KINDS = [
  'ipaddresspools',
  'l2advertisements',
  'bgppeers',
  'bgpadvertisements',
  'bfdprofiles',
  'communities',
];
const CILIUM_KINDS = [
  ...['ciliumloadbalancerippools', 'ciliuml2announcementpolicies', 'ciliumbgppeeringpolicies'],
  ...['ciliumbgpclusterconfigs', 'ciliumbgppeerconfigs', 'ciliumbgpadvertisements', 'ciliumbgpnodeconfigoverrides'],
];

describe('the chart, rendered', () => {
  it('passes the linter of Helm', async () => {
    const { ok, stdout, stderr } = await helm('lint', '--strict', CHART, ...setting(EAST));
    assert.ok(ok, stdout + stderr);
  });

  it('keeps to its rules in every combination of its main values', async function () {
    // Helm starts for each: seconds where the machine has nothing else to do.
    this.timeout(900_000);
    const problems: string[] = [];
    const queue = [...CHARTS];
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next; next = queue.pop()) {
        const { title, values } = next;
        const manifests = await template({ ...EAST, ...values });
        const privileged = values['nodeAgent.privileged'] === true;
        problems.push(...violations(manifests, { privileged }).map((problem) => `${problem} (${title})`));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    assert.deepEqual(problems, []);
    assert.equal(CHARTS.length, 168);
  });

  it('gives the agent four capabilities, and a fifth when asked, and the API server rights that are the sum of what is watched', async () => {
    const manifests = await template(EAST);
    assert.deepEqual(containerOf(manifests, 'tombolo-node-agent', 'agent').securityContext.capabilities, {
      drop: ['ALL'],
      add: ['BPF', 'NET_ADMIN', 'NET_RAW', 'PERFMON'],
    });
    assert.deepEqual(find(manifests, 'ClusterRole', 'tombolo-node-agent')?.['rules'], [
      { apiGroups: [''], resources: ['services', 'namespaces', 'nodes', 'pods'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: ['list', 'watch'] },
      { apiGroups: ['metallb.io'], resources: METALLB_KINDS, verbs: ['list', 'watch'] },
      {
        apiGroups: ['cilium.io'],
        resources: CILIUM_KINDS,
        verbs: ['list', 'watch'],
      },
    ]);
    const closing = await template({ ...EAST, 'nodeAgent.closeConnections': 'pods' });
    assert.deepEqual(containerOf(closing, 'tombolo-node-agent', 'agent').securityContext.capabilities?.add, [
      ...['BPF', 'NET_ADMIN', 'NET_RAW', 'PERFMON', 'SYS_ADMIN'],
    ]);
    const exporting = [
      { apiGroups: [''], resources: ['services', 'namespaces', 'nodes', 'pods'], verbs: ['list', 'watch'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ];
    assert.deepEqual(find(manifests, 'ClusterRole', 'tombolo-clustermesh-apiserver')?.['rules'], [
      ...exporting,
      { apiGroups: ['cilium.io'], resources: ['ciliumloadbalancerippools'], verbs: ['list', 'watch'] },
      { apiGroups: ['metallb.io'], resources: ['ipaddresspools'], verbs: ['list', 'watch'] },
      { apiGroups: ['cilium.io'], resources: ['ciliumloadbalancerippools/status'], verbs: ['patch'] },
      { apiGroups: ['metallb.io'], resources: ['ipaddresspools/status'], verbs: ['patch'] },
      { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['services/status'], verbs: ['patch'] },
      { apiGroups: [''], resources: ['events'], verbs: ['create'] },
    ]);
    const without = await template({ ...EAST, 'clustermeshApiserver.loadBalancerAddresses': false });
    assert.deepEqual(find(without, 'ClusterRole', 'tombolo-clustermesh-apiserver')?.['rules'], exporting);
    assert.deepEqual(find(manifests, 'Role', 'tombolo-clustermesh-apiserver')?.['rules'], [
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update', 'delete'] },
    ]);
  });

  it('changes no selector and no pod label with the version of the chart', async () => {
    const labelsOf = (manifests: readonly Manifest[]) =>
      workloads(manifests).map(({ selector, podLabels }) => [selector, podLabels]);
    const versions = (await template(EAST)).map(({ metadata }) => metadata.labels?.['helm.sh/chart']);
    const text = JSON.stringify(labelsOf(await template(EAST)));
    for (const version of new Set(versions)) assert.ok(!text.includes(version ?? '?'), text);
  });

  it("has certificates of the users' own issuer when one is named", async () => {
    const issuer = { name: 'corporate', kind: 'ClusterIssuer' };
    const values = { 'tls.method': 'certManager', 'tls.certManager.issuerRef': issuer };
    const prefixed = Object.entries(values).map(([path, value]) => [`clustermeshApiserver.${path}`, value]);
    const made = (await template({ ...EAST, ...Object.fromEntries(prefixed) })).filter(({ apiVersion }) =>
      apiVersion.startsWith('cert-manager.io/'),
    );
    assert.deepEqual(
      made.map(({ kind, metadata }) => `${kind}/${metadata.name}`),
      ['Certificate/tombolo-etcd-admin', 'Certificate/tombolo-etcd-remote', 'Certificate/tombolo-etcd-server'],
    );
    for (const each of made) assert.deepEqual((each['spec'] as Json)['issuerRef'], issuer);
  });

  it('has each image by its digest when one is given', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const images = workloads(await template({ ...EAST, 'image.digest': digest }))
      .flatMap(({ pod }) => [...pod.containers, ...(pod.initContainers ?? [])])
      .map(({ image }) => image);
    assert.deepEqual([...new Set(images)], [`docker.io/tombolo/tombolo@${digest}`]);
  });
});
