/**
 * Long connections of a pod through a global Service: to a pod of another cluster that vanishes without a word, and to one
 * that ends as pods should.
 */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import { agentSpec, typescript } from '@tombolo/lab/mesh/programs.ts';
import type { KubernetesObject, Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { Program } from '@tombolo/machine/program.ts';
import type { HoldEvent } from '@tombolo/machine/programs/hold.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { backendsOf, clientPod, webPod } from './web.ts';

const COUNT = 40;
const PORT = 9090;

const service: Manifest = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', annotations: { 'service.cilium.io/global': 'true' } },
  spec: {
    selector: { app: 'web' },
    ipFamilyPolicy: 'RequireDualStack',
    ports: [{ name: 'echo', port: PORT, targetPort: PORT }],
  },
};

describe('connections to a backend that is gone', () => {
  let mesh: Mesh;
  let client: PodHandle;
  let namespaces: string;
  let held: Program | undefined;

  before(async () => {
    mesh = await startRealMesh({
      name: 'e2eclose',
      clusters: [
        { name: 'east', id: 1, nodes: 1 },
        { name: 'west', id: 2, nodes: 1 },
      ],
      agent: { datapath: 'ebpf', more: ({ directory }) => ['--netns-dir', `${directory}/namespaces`] },
    });
    const east = mesh.cluster('east');
    await east.apply([service, clientPod('east-1')]);
    await mesh.cluster('west').apply([service]);
    client = await east.pod('client');
    // The real ones have no names outside their node.
    namespaces = join(east.node(1).plan.directory, 'namespaces');
    mkdirSync(namespaces);
    symlinkSync(client.netns, join(namespaces, 'client'));
  });
  afterEach(async () => {
    await held?.kill();
    held = undefined;
  });
  after(() => mesh?.close());

  const west = () => mesh.cluster('west');
  const node = () => mesh.cluster('east').node(1);

  /** One more pod in west, in use in east. */
  async function addPod(name: string): Promise<PodHandle> {
    await west().apply([webPod(name, 'west-1')]);
    const pod = await west().pod(name);
    await waitUntil(`${pod.address} to be in use`, async () =>
      (await backendsOf(node())).some(({ address, verdict }) => address === pod.address && verdict === 'selected'),
    );
    return pod;
  }

  async function serviceAddresses(): Promise<readonly string[]> {
    const address = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' } };
    const found = await mesh
      .cluster('east')
      .waitFor<KubernetesObject & { readonly spec: { readonly clusterIPs: readonly string[] } }>(address, Boolean);
    return (found?.spec.clusterIPs ?? []).map((each) => (each.includes(':') ? `[${each}]:${PORT}` : `${each}:${PORT}`));
  }

  /** COUNT to each of these; back when all are answered. */
  async function hold(...places: readonly string[]) {
    const name = `hold-${process.hrtime.bigint()}`;
    const cgroup = `${node().plan.cgroup}/exec/${name}`;
    const program = new Program({
      name,
      argv: [...typescript('packages/machine/src/programs/hold.ts'), `${COUNT}`, ...places],
      netns: client.netns,
      cgroup,
      logFile: `${node().plan.directory}/${name}.log`,
    });
    held = program;
    await program.start();
    const events = async (): Promise<readonly HoldEvent[]> =>
      (await program.log())
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    const opened = await waitUntil('all connections to be answered', async () => {
      const answers = (await events()).filter(({ answer }) => answer !== undefined);
      return answers.length === COUNT * places.length && answers;
    });
    return {
      /** Numbers of those that this pod answered, through a Service or not. */
      of: (pod: string, to: readonly string[]) =>
        opened
          .filter((each) => each.answer?.endsWith(`/${pod}`) && to.includes(each.to))
          .map((each) => each.connection),
      ends: async () => (await events()).filter(({ end }) => end !== undefined),
    };
  }

  /** Nothing that it sends arrives anywhere any more; then it is deleted without being asked to end. */
  async function vanish(pod: PodHandle): Promise<number> {
    await pod.exec(['ip', 'link', 'set', 'eth0', 'down']);
    const at = Date.now();
    await west().kubectl(['delete', 'pod', pod.name, '--grace-period=0', '--force', '--wait=false']);
    return at;
  }

  it('are closed at once, and no others', async () => {
    const victim = await addPod('web-a');
    const other = await addPod('web-b');
    const services = await serviceAddresses();
    assert.equal(services.length, 2);
    const straight = `${victim.address}:${PORT}`;
    const connections = await hold(...services, straight);
    const lost = connections.of(victim.name, services);
    assert.ok(lost.length > 0 && connections.of(other.name, services).length > 0);
    const at = await vanish(victim);
    const ends = await waitUntil('all connections to be closed that led there', async () => {
      const found = await connections.ends();
      return found.length >= lost.length && found;
    });
    assert.deepEqual(
      ends.map(({ connection }) => connection).sort((a, b) => a - b),
      lost,
    );
    assert.deepEqual(new Set(ends.map(({ end }) => end)), new Set(['ECONNABORTED']));
    const times = ends.map((each) => each.at - at).sort((a, b) => a - b);
    console.log(`      ${lost.length} connections: ${times[0]} to ${times.at(-1)} ms after the pod was deleted`);
  });

  it('of one that ends gracefully are left to it, and its clients hear of its end from itself', async () => {
    const draining = await addPod('web-c');
    const services = await serviceAddresses();
    const connections = await hold(...services);
    const its = connections.of(draining.name, services);
    assert.ok(its.length > 0);
    await west().kubectl(['delete', 'pod', draining.name, '--grace-period=4', '--wait=false']);
    const ends = await waitUntil('its connections to end', async () => {
      const found = await connections.ends();
      return found.length >= its.length && found;
    });
    assert.deepEqual(
      ends.map(({ connection }) => connection).sort((a, b) => a - b),
      its,
    );
    assert.ok(!ends.some(({ end }) => end === 'ECONNABORTED'), JSON.stringify(ends.at(0)));
  });

  it('stay open where that is not wanted', async () => {
    await node().agent.stop();
    const more = () => ['--close-connections', 'false'];
    const other = new Program(agentSpec(mesh.cluster('east').plan, node().plan, { datapath: 'ebpf', more }));
    await other.start();
    const victim = await addPod('web-d');
    const services = await serviceAddresses();
    const connections = await hold(...services);
    assert.ok(connections.of(victim.name, services).length > 0);
    await vanish(victim);
    const address = { apiVersion: 'v1', kind: 'Pod', metadata: { name: victim.name, namespace: 'default' } };
    await west().waitFor(address, (pod) => pod === undefined);
    await addPod('web-e');
    assert.deepEqual(await connections.ends(), []);
    await other.stop();
  });
});
