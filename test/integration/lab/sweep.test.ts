/**
 * A mesh on the real Kubernetes whose process is killed leaves programs, containers, mounts, groups and namespaces behind;
 * the next run takes all of it away, whenever the kill came, and touches nothing of those who live.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { MeshOptions } from '@tombolo/lab/mesh/mesh.ts';
import { type MeshPlan, planMesh } from '@tombolo/lab/mesh/plan.ts';
import { realKubernetes } from '@tombolo/lab/mesh/real-kubernetes.ts';
import { cgroup2Mount, cgroupProcesses } from '@tombolo/machine/cgroup.ts';
import { command } from '@tombolo/machine/command.ts';
import { type MeshPlaces, meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { removeMesh, sweepAbandoned } from '@tombolo/machine/sweep.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

import { containersIn, leftoversOf, sharedPlacesOf, shimSocket } from './leftovers.ts';

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'echo' },
  spec: { nodeName: 'solo-1', containers: [{ name: 'echo', image: 'echo:1' }] },
};

/** A process of its own that starts a mesh with a pod, says so and waits. */
class Run {
  readonly places: MeshPlaces;
  readonly plan: MeshPlan;
  readonly child: ChildProcess;
  /** Rejects when the process ends first. */
  readonly up: Promise<void>;
  readonly ended: Promise<unknown>;

  private constructor(places: MeshPlaces, plan: MeshPlan, options: MeshOptions) {
    this.places = places;
    this.plan = plan;
    const script = `
      const { startMesh } = await import('@tombolo/lab/mesh/mesh.ts');
      const mesh = await startMesh(${JSON.stringify(options)});
      await mesh.cluster('solo').apply(${JSON.stringify([POD])});
      await mesh.cluster('solo').pod('echo');
      console.log('up');
      setInterval(() => {}, 1000);`;
    this.child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.up = new Promise((resolve, reject) => {
      this.child.stdout?.once('data', () => resolve());
      this.child.once('exit', () => reject(new Error('Cannot start the mesh: its process ended')));
    });
    this.up.catch(() => {});
  }

  static async start(name: string): Promise<Run> {
    const places = meshPlaces(meshName(name));
    const clusters = [{ name: 'solo', id: 9, nodes: 1 }];
    const kubernetes = realKubernetes('nftables');
    const plan = planMesh(places, await cgroup2Mount(), clusters, kubernetes);
    return new Run(places, plan, { name, clusters, kubernetes, without: 'apiservers and agents' });
  }

  get node() {
    const node = this.plan.clusters[0]?.nodes[0];
    if (node === undefined) throw new Error('Cannot find the node of the mesh');
    return node;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** Moments of a start, in order; each is over before the next. */
const MOMENTS: readonly (readonly [string, (run: Run) => boolean | Promise<boolean>])[] = [
  ['its first namespace', ({ plan }) => existsSync(`/run/netns/${plan.underlay}`)],
  ['a mount namespace', ({ node }) => existsSync(`${node.directory}.mounts`)],
  ['containerd', async ({ node }) => (await cgroupProcesses(`${node.cgroup}/system/containerd`)).length > 0],
  ['kubelet', async ({ node }) => (await cgroupProcesses(`${node.cgroup}/system/kubelet`)).length > 0],
  ['a container', async ({ node }) => (await containersIn(`${node.cgroup}/kubepods`)).length > 0],
];

describe('lab sweep', () => {
  const runs: Run[] = [];
  const start = async (name: string): Promise<Run> => {
    const run = await Run.start(name);
    runs.push(run);
    return run;
  };

  afterEach(async () => {
    for (const run of runs.splice(0)) {
      await run.kill();
      await removeMesh(run.places);
    }
  });

  it('takes away what a killed run with pods left: processes, groups, mounts, namespaces, sockets', async () => {
    const run = await start('tsweep');
    await run.up;
    const { node, places } = run;
    const socket = `${node.directory}/containerd.sock`;
    const containers = await containersIn(`${node.cgroup}/kubepods`);
    const seen = ['nsenter', `--mount=${node.directory}.mounts`, 'ls', '/run/containerd/s'];
    const sockets = (await command(seen)).split('\n').map((name) => `/run/containerd/s/${name}`);
    assert.ok(
      containers.some((id) => sockets.includes(shimSocket(socket, id))),
      'a shim of one of the containers',
    );
    await run.kill();
    const left = await leftoversOf(places);
    for (const name of ['containerd-shim', 'kubelet', 'kube-apiserver', 'etcd', 'echo'])
      assert.ok(
        left.some((line) => line.includes(name)),
        `${name} outlives whoever started it`,
      );
    assert.ok((await sweepAbandoned()).includes(places.name));
    assert.deepEqual(await leftoversOf(places), []);
    assert.deepEqual(await sharedPlacesOf(containers, socket), []);
  });

  for (const [moment, reached] of MOMENTS)
    it(`takes away what a run left that was killed in its start, at ${moment}`, async () => {
      const run = await start('tsweep');
      await waitUntil(moment, () => reached(run), { everyMs: 1, timeoutMs: 60_000 });
      await run.kill();
      await sweepAbandoned();
      assert.deepEqual(await leftoversOf(run.places), []);
    });

  it('takes away one of two that ran side by side, and leaves the other all its own', async () => {
    const [one, two] = await Promise.all([start('tsweep'), start('tsweeptwo')]);
    await Promise.all([one.up, two.up]);
    const [before, pods] = [
      await cgroupProcesses(two.plan.cgroup),
      await cgroupProcesses(`${two.node.cgroup}/kubepods`),
    ];
    assert.ok(pods.length > 0);
    await one.kill();
    assert.deepEqual(await sweepAbandoned(), [one.places.name]);
    assert.deepEqual(await leftoversOf(one.places), []);
    assert.deepEqual(
      (await cgroupProcesses(two.plan.cgroup)).filter((pid) => before.includes(pid)),
      before,
    );
    two.child.kill('SIGTERM');
    assert.equal(await two.ended, 143);
    assert.deepEqual(await leftoversOf(two.places), []);
  });
});
