/** Pods on a mesh without Tombolo: what a kubelet does with them, through the Kubernetes API and on the machine. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import { type Mesh, startMesh } from '@tombolo/lab/mesh/mesh.ts';
import { kubeletSpec } from '@tombolo/lab/mesh/programs.ts';
import { cgroupProcesses, killCgroup } from '@tombolo/machine/cgroup.ts';
import type { Manifest, Pod } from '@tombolo/machine/kubernetes/objects.ts';
import { isReady } from '@tombolo/machine/kubernetes/objects.ts';
import { listNetns } from '@tombolo/machine/netns.ts';
import { Program } from '@tombolo/machine/program.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { podPlaces } from '@tombolo/small-kubernetes/kubelet/pod-places.ts';

const READINESS = { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1, failureThreshold: 1 };
const PORTS = [{ name: 'http', containerPort: 8080 }];

interface Status {
  readonly phase: string;
  readonly podIPs: readonly { readonly ip: string }[];
  readonly containerStatuses: readonly { readonly restartCount: number; readonly state: object }[];
}
const statusOf = (pod: Pod | undefined) => pod?.status as unknown as Status | undefined;

function podNamed(name: string, spec: object = {}, container: object = {}): Manifest {
  const containers = [{ name: 'main', image: 'echo', ports: PORTS, ...container }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { nodeName: 'solo-1', containers, ...spec } };
}

describe('lab kubelet', () => {
  let mesh: Mesh;
  let cluster: ClusterHandle;
  const wait = (name: string, holds: (pod: Pod | undefined) => boolean) => cluster.waitFor<Pod>(podNamed(name), holds);

  before(async () => {
    const clusters = [{ name: 'solo', id: 7, nodes: 2 }];
    mesh = await startMesh({ name: 'tkubelet', clusters, without: 'apiservers and agents' });
    cluster = mesh.cluster('solo');
  });
  after(() => mesh?.close());

  it('registers its node with addresses, pod ranges and zone', async () => {
    const json = JSON.parse(await cluster.kubectl(['get', 'node', 'solo-2', '-o', 'json']));
    assert.deepEqual(json.spec.podCIDRs, ['10.7.2.0/24', 'fd00:7:2::/64']);
    assert.equal(json.metadata.labels['topology.kubernetes.io/zone'], 'solo-b');
    assert.ok(json.status.addresses.some(({ address }: { address: string }) => address === '10.0.7.2'));
    assert.match(await cluster.kubectl(['get', 'nodes']), /solo-1\s+Ready/);
  });

  it('runs a pod that others reach over both families, and that knows who it is', async () => {
    await cluster.apply([
      podNamed('web', {}, { readinessProbe: READINESS }),
      podNamed('client', { nodeName: 'solo-2' }, { image: 'client' }),
    ]);
    const client = await cluster.pod('client');
    const web = await cluster.pod('web');
    const addresses = statusOf(await cluster.api.find<Pod>(podNamed('web')))?.podIPs.map(({ ip }) => ip) ?? [];
    assert.equal(addresses.length, 2);
    for (const address of addresses)
      for (const scheme of ['http', 'tcp', 'udp']) {
        const host = address.includes(':') ? `[${address}]` : address;
        const url = `${scheme}://${host}:${scheme === 'http' ? 8080 : 9090}/`;
        const counts = await (await client.sendRequests(url, { count: 3 })).finished();
        assert.deepEqual(counts.by, { 'solo/solo-1/web': 3 }, url);
      }
    assert.equal((await client.exec(['printenv', 'POD_NAME'], { env: { POD_NAME: 'mine' } })).trim(), 'mine');
    assert.match(
      await client.exec(['curl', '-sS', `http://${web.address}:8080/json`]),
      new RegExp(`"peer":"::ffff:${client.address}"`),
    );
  });

  it('keeps the pod’s processes below the node’s control group', async () => {
    const pod = await cluster.api.find<Pod>(podNamed('web'));
    assert.ok(pod);
    const { cgroup } = podPlaces(cluster.node(1).plan, pod);
    assert.ok(cgroup.startsWith(`${cluster.node(1).plan.cgroup}/`));
    assert.equal((await cgroupProcesses(cgroup)).length, 1);
  });

  it('follows readiness both ways', async () => {
    const web = await cluster.pod('web');
    for (const [path, expected] of [
      ['unready', false],
      ['ready', true],
    ] as const) {
      await web.exec(['curl', '-sS', '-X', 'POST', `http://127.0.0.1:8080/${path}`]);
      await wait('web', (pod) => pod !== undefined && isReady(pod) === expected);
    }
  });

  it('starts a container that died again, and counts', async () => {
    const web = await cluster.pod('web');
    const { cgroup } = podPlaces(web.node, (await cluster.api.find<Pod>(podNamed('web'))) as Pod);
    for (const pid of await cgroupProcesses(`${cgroup}/main`)) process.kill(pid, 'SIGKILL');
    await wait(
      'web',
      (pod) => pod !== undefined && isReady(pod) && statusOf(pod)?.containerStatuses[0]?.restartCount === 1,
    );
    assert.equal((await cluster.pod('web')).address, web.address);
  });

  it('says so when an image has no program', async () => {
    await cluster.apply([podNamed('strange', {}, { image: 'docker.io/library/nginx:1' })]);
    const pod = await wait('strange', (pod) => (statusOf(pod)?.containerStatuses.length ?? 0) > 0);
    assert.match(JSON.stringify(statusOf(pod)?.containerStatuses), /ErrImageNeverPull.*has no program here/);
  });

  it('ends a pod gracefully: it answers on while it drains, and nothing of it stays', async () => {
    const [client, web] = [await cluster.pod('client'), await cluster.pod('web')];
    const drained = (await client.exec(['sh', '-c', 'curl -sS "$0"', `http://${web.address}:8080/?delay=50`])).trim();
    assert.equal(drained, 'solo/solo-1/web');
    const late = client.exec(['curl', '-sS', `http://${web.address}:8080/?delay=1200`]);
    await cluster.kubectl(['delete', 'pod', 'web', '--wait=false']);
    await wait('web', (pod) => pod?.metadata.deletionTimestamp !== undefined);
    assert.equal((await client.exec(['curl', '-sS', `http://${web.address}:8080/`])).trim(), 'solo/solo-1/web');
    assert.equal((await late).trim(), 'solo/solo-1/web', 'a request that was under way');
    await wait('web', (pod) => pod === undefined);
    assert.ok(!(await listNetns('tbl-dev-tkubelet-')).includes(web.netns));
  });

  it('keeps a new pod apart from one of the same name that was deleted by force', async () => {
    const stubborn = { command: ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'] };
    await cluster.apply([podNamed('again', {}, stubborn)]);
    const first = await cluster.pod('again');
    await cluster.kubectl(['delete', 'pod', 'again', '--force', '--grace-period=0']);
    await cluster.apply([podNamed('again', {}, stubborn)]);
    const second = await cluster.pod('again');
    assert.notEqual(first.netns, second.netns);
    await waitUntil('the first to be gone', async () => !(await listNetns(first.netns)).includes(first.netns));
  });

  it('starts its pods anew after it was killed itself, and ends those that were deleted meanwhile', async () => {
    const before = await cluster.pod('again');
    const kubelet = new Program(kubeletSpec(cluster.node(1).plan));
    await killCgroup(kubelet.spec.cgroup);
    await cluster.kubectl(['delete', 'pod', 'strange', '--wait=false']);
    await kubelet.start();
    await wait('again', (pod) => pod !== undefined && isReady(pod) && pod.status?.podIP !== undefined);
    await wait('strange', (pod) => pod === undefined);
    await waitUntil('its processes', async () => (await cgroupProcesses(`${before.node.cgroup}/pods`)).length > 0);
  });

  it('registers again with an API server that was restarted', async () => {
    await cluster.kubernetes.kill();
    await cluster.kubernetes.start();
    await cluster.kubernetes.ready();
    await cluster.kubernetes.nodesReady();
    assert.match(await cluster.kubectl(['get', 'nodes']), /solo-1\s+Ready[\s\S]*solo-2\s+Ready/);
  });

  it('takes everything along when the mesh is closed', async () => {
    await mesh.close();
    assert.deepEqual(await listNetns('tbl-dev-tkubelet-'), []);
    for (const path of [mesh.plan.directory, mesh.plan.cgroup]) assert.equal(existsSync(path), false, path);
  });
});
