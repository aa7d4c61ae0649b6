/** The network of a mesh without any program in it: who reaches whom, and that nothing gets out. */
import assert from 'node:assert/strict';
import { cutLink, healLink, layFabric } from '@tombolo/lab/mesh/fabric.ts';
import { allNodes, type MeshPlan, planMesh, stations } from '@tombolo/lab/mesh/plan.ts';
import { cgroup2Mount } from '@tombolo/machine/cgroup.ts';
import { command, tryCommand } from '@tombolo/machine/command.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { thisProcess, writeState } from '@tombolo/machine/owner.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';

const places = meshPlaces(meshName('tfabric'));
let plan: MeshPlan;

/** What a connection to a closed port brings: refused means that the station is there. */
async function knock(netns: string, address: string): Promise<string> {
  const { stderr } = await tryCommand(['bash', '-c', `</dev/tcp/${address}/9`], { netns, timeoutMs: 1000 });
  return stderr;
}

async function reaches(netns: string, address: string): Promise<boolean> {
  return (await knock(netns, address)).includes('Connection refused');
}

describe('lab fabric', () => {
  before(async () => {
    await removeMesh(places);
    await writeState(places, { owner: await thisProcess(), plan: undefined });
    plan = planMesh(places, await cgroup2Mount(), [
      { name: 'east', id: 1, nodes: 2 },
      { name: 'west', id: 2, nodes: 1 },
    ]);
    await layFabric(plan);
  });
  after(() => removeMesh(places));

  it('lets all stations reach each other, over both families', async () => {
    const all = stations(plan);
    for (const { netns } of all)
      for (const { address, address6 } of all)
        for (const to of [address, address6]) assert.ok(await reaches(netns, to), `${netns} to ${to}`);
  });

  it('has no way out: no default route, and no link into the machine’s own namespace', async () => {
    for (const { netns } of stations(plan)) {
      for (const family of ['-4', '-6'])
        assert.equal(await command(['ip', family, 'route', 'show', 'default'], { netns }), '');
      assert.match(await knock(netns, '192.0.2.1'), /Network is unreachable/);
    }
    assert.doesNotMatch(await command(['ip', '-br', 'link']), /c1-n1|core/);
  });

  it('lets no packet to a service address pass: forwarded ones are refused, the host’s own end in a sink', async () => {
    for (const { netns } of stations(plan)) {
      for (const address of ['10.96.0.1', '10.96.255.254', 'fd00:96::1']) {
        const forwarded = ['from', address.includes(':') ? 'fd00::1:77' : '10.0.1.77', 'iif', 'eth0'];
        const route = command(['ip', 'route', 'get', address, ...forwarded], { netns }).catch(String);
        assert.match(await route, /unreachable|No route to host/);
        assert.match(await command(['ip', 'route', 'get', address], { netns }), / dev sink /);
      }
      assert.match(await command(['ip', 'link', 'show', 'sink-end'], { netns }), /state DOWN/);
    }
  });

  it('refuses addresses of its own pods that no pod has', async () => {
    const [node] = allNodes(plan);
    assert.match(
      await command(['ip', 'route', 'get', '10.1.1.77'], { netns: node?.netns }).catch(String),
      /No route to host/,
    );
  });

  it('cutLink() cuts one node, or a cluster from the others, and healLink() undoes it', async () => {
    const [east, west] = plan.clusters;
    const [one, two] = east?.nodes ?? [];
    if (!(east && west && one && two)) throw new Error('Cannot test: expected two clusters with nodes');
    await cutLink(plan, one.link);
    assert.ok(!(await reaches(one.netns, two.address)), 'a node that is cut off');
    assert.ok(await reaches(two.netns, west.controlPlane.address), 'its neighbour');
    await healLink(plan, one.link, east.bridge);
    assert.ok(await reaches(one.netns, two.address), 'a node that is back');
    await cutLink(plan, east.uplink);
    assert.ok(!(await reaches(one.netns, west.controlPlane.address)), 'a cluster that is cut off');
    assert.ok(await reaches(one.netns, two.address), 'inside a cluster that is cut off');
    await healLink(plan, east.uplink, east.bridge);
    assert.ok(await reaches(one.netns, west.controlPlane.address), 'a cluster that is back');
  });
});
