/** Meshes come and go: a failing start, two of a name, Ctrl-C and kill -9 of the one who started it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Mesh, type MeshOptions, startMesh } from '@tombolo/lab/mesh/mesh.ts';
import { cgroup2Mount, cgroupProcesses } from '@tombolo/machine/cgroup.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { listNetns } from '@tombolo/machine/netns.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

const places = meshPlaces(meshName('tmesh'));
const OPTIONS: MeshOptions = {
  name: places.name,
  clusters: [
    { name: 'here', id: 3, nodes: 1 },
    { name: 'there', id: 4, nodes: 1 },
  ],
  without: 'apiservers and agents',
};

/** A process of its own that starts the mesh, says so and waits. */
function starter(): { readonly child: ChildProcess; readonly up: Promise<void> } {
  const script = `
    const { startMesh } = await import('@tombolo/lab/mesh/mesh.ts');
    await startMesh(${JSON.stringify(OPTIONS)});
    console.log('up');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const up = new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => reject(new Error('Cannot start the mesh: its process ended')));
  });
  return { child, up };
}

async function leftovers(): Promise<readonly string[]> {
  const cgroup = `${await cgroup2Mount()}/${places.cgroupName}`;
  const paths = [places.directory, places.stateFile, cgroup].filter((path) => existsSync(path));
  return [...(await listNetns(places.netnsPrefix)), ...paths];
}

/** A zombie has ended; that its parent has not looked is none of our business. */
async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tZ');
  return !/^State:\tZ/m.test(status);
}

describe('lab mesh', () => {
  let mesh: Mesh | undefined;
  let other: ChildProcess | undefined;

  before(() => removeMesh(places));
  afterEach(async () => {
    other?.kill('SIGKILL');
    await mesh?.close();
    await removeMesh(places);
  });

  it('answers the user’s kubectl in each cluster, and each has its own etcd that the others’ nodes reach', async () => {
    mesh = await startMesh(OPTIONS);
    const [here, there] = [mesh.cluster('here'), mesh.cluster('there')];
    await here.kubectl(['create', '-f', '-'], 'kind: Namespace\napiVersion: v1\nmetadata: {name: only-here}\n');
    assert.match(await here.kubectl(['get', 'namespaces']), /only-here/);
    assert.doesNotMatch(await there.kubectl(['get', 'namespaces']), /only-here/);
    const endpoint = there.plan.etcdEndpoint;
    await here.etcd.stop();
    assert.match(await here.node(1).run(['curl', '-sS', `${endpoint}/health`]), /"health":\s*"true"/);
    await there.cutControlPlane();
    assert.notEqual((await here.node(1).tryRun(['curl', '-sS', '--max-time', '1', endpoint])).code, 0);
  });

  it('refuses a second one of a name while the first lives', async () => {
    const { child, up } = starter();
    other = child;
    await up;
    await assert.rejects(startMesh(OPTIONS), new RegExp(`process ${child.pid} runs one of that name`));
  });

  it('sweeps what a killed one left, its processes too', async () => {
    const { child, up } = starter();
    other = child;
    await up;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const orphans = await cgroupProcesses(`${await cgroup2Mount()}/${places.cgroupName}`);
    assert.ok(orphans.length > 4, 'etcd and the others outlive whoever started them');
    mesh = await startMesh(OPTIONS);
    for (const pid of orphans) assert.ok(!(await isRunning(pid)), `process ${pid}`);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`takes itself down on ${signal}, also in the middle of its start`, async () => {
      for (const when of ['up', 'starting']) {
        const { child, up } = starter();
        other = child;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        if (when === 'up') await up;
        else await Promise.race([up, waitUntil('its first namespace', async () => (await leftovers()).length > 2)]);
        child.kill(signal);
        assert.equal(await ended, signal === 'SIGINT' ? 130 : 143);
        await up.catch(() => {});
        assert.deepEqual(await leftovers(), [], when);
      }
    });

  it('says why a program did not start, and leaves nothing', async () => {
    const agent = { more: () => ['--no-such-flag'] };
    const { without, ...whole } = OPTIONS;
    await assert.rejects(startMesh({ ...whole, agent }), /Cannot start node-agent: it ended:[\s\S]*no-such-flag/);
    assert.deepEqual(await leftovers(), []);
  });

  it('can be kept for others, and is then not swept', async () => {
    mesh = await startMesh(OPTIONS);
    await mesh.keep();
    const another = await startMesh({ ...OPTIONS, name: 'tmesh2' });
    await another.close();
    assert.match(await mesh.cluster('here').kubectl(['get', 'nodes']), /here-1\s+Ready/);
  });
});
