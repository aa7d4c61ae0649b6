/** An operator restarts an agent with another datapath: the old one serves until the new one does, and then is gone. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import { agentSpec, typescript } from '@tombolo/lab/mesh/programs.ts';
import { Program } from '@tombolo/machine/program.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { startRealMesh } from '../mesh.ts';
import { assertNoneFailed, clientPod, deployWeb, uses } from './web.ts';

describe('an agent with another datapath', () => {
  let mesh: Mesh;

  before(async () => {
    mesh = await startRealMesh({
      name: 'e2eswitch',
      clusters: [
        { name: 'east', id: 1, nodes: 1 },
        { name: 'west', id: 2, nodes: 1 },
      ],
      agent: { datapath: 'ebpf' },
    });
  });

  after(() => mesh?.close());

  it('takes over without losing a request, there and back', async () => {
    const east = mesh.cluster('east');
    const node = east.node(1);
    const all = (await Promise.all(mesh.clusters.map((cluster) => deployWeb(cluster))))
      .flat()
      .map(({ address }) => address);
    await east.apply([clientPod('east-1')]);
    const client = await east.pod('client');
    await uses(node, all);
    // Those of packets stay until the last flow is over.
    const pins = () =>
      existsSync(node.plan.bpfDirectory) && readdirSync(node.plan.bpfDirectory).some((name) => /^v\d/.test(name));
    assert.ok(pins());

    const stream = await client.sendRequests(`http://${await east.serviceAddress('web')}/`);
    await stream.more(50);
    await node.agent.stop();
    const other = new Program(agentSpec(east.plan, node.plan, { datapath: 'nftables' }));
    await other.start();
    await waitUntil('the socket hooks to be gone', () => !pins());
    await uses(node, all);
    await stream.more(100);
    await other.stop();
    await node.agent.start();
    await waitUntil('the socket hooks to be back', pins);
    await uses(node, all);
    await stream.more(100);
    const counts = await stream.stop();
    assertNoneFailed(counts);
    assert.equal(Object.keys(counts.by).length, 2);
  });

  it('leaves the kernel as it is when it stops, and nothing in it when it is uninstalled', async () => {
    const east = mesh.cluster('east');
    const node = east.node(1);
    const tables = () => node.run(['nft', 'list', 'tables']);
    const argv = [...typescript('packages/node-agent/src/main.ts'), 'uninstall', '--bpf-dir', node.plan.bpfDirectory];
    const refused = await node.tryRun(argv);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /another node-agent runs/);
    await node.agent.stop();
    assert.ok(existsSync(node.plan.bpfDirectory));
    assert.match(await tables(), /tombolo/);
    await node.run(argv);
    assert.ok(!existsSync(node.plan.bpfDirectory) || readdirSync(node.plan.bpfDirectory).length === 0);
    assert.doesNotMatch(await tables(), /tombolo/);
  });
});
