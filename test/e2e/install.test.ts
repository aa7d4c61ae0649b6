/**
 * Two real clusters, and Tombolo on them as a user brings it there: helm install, one Secret handed over, one annotation;
 * then upgrades, rollbacks, pods that are deleted, and an uninstall, while requests go on that are counted.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import type { NodeHandle } from '@tombolo/lab/mesh/node.ts';
import type { PodHandle } from '@tombolo/lab/mesh/pod.ts';
import { loadImages } from '@tombolo/lab/mesh/real-kubernetes.ts';
import { command } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { byCluster } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { mountNamespace } from '@tombolo/real-kubernetes/run/node.ts';
import { startRealMesh } from '../mesh.ts';
import { buildReleases, Installation, type Release } from './installation.ts';
import { assertNoneFailed } from './web.ts';

/** Shorter on request, for those who work on it. */
const STORM_MS = Number(process.env['STORM_SECONDS'] ?? 120) * 1000;

describe('an installation', () => {
  let mesh: Mesh;
  let east: ClusterHandle;
  let west: ClusterHandle;
  let installation: Installation;
  let first: Release;
  let second: Release;
  let client: PodHandle;
  let url: string;

  before(async function () {
    this.timeout(900_000);
    mesh = await startRealMesh({
      name: 'tinstall',
      clusters: [
        { name: 'east', id: 1, nodes: 2 },
        { name: 'west', id: 2, nodes: 2 },
      ],
      agent: { services: 'global' },
      without: 'apiservers and agents',
    });
    [east, west] = [mesh.cluster('east'), mesh.cluster('west')];
    ({ first, second } = await buildReleases(`${mesh.plan.directory}/releases`));
    installation = new Installation(mesh);
    await loadImages(mesh.plan, [first.image, second.image]);
  });

  after(() => mesh?.close());

  it('joins two clusters: helm install, a Secret handed over, an annotation', async () => {
    const notes = await Promise.all(mesh.clusters.map((cluster) => installation.install(cluster, first)));
    await installation.handOver(notes[0] ?? '', west);
    await installation.handOver(notes[1] ?? '', east);
    const manifest = (name: string) => readFile(join(REPOSITORY, `packages/lab/src/demo/${name}.yaml`), 'utf8');
    for (const cluster of mesh.clusters) {
      await cluster.apply(await manifest('web'));
      await cluster.kubectl(['annotate', 'service', 'web', 'service.cilium.io/global=true']);
      await cluster.kubectl(['rollout', 'status', 'deployment/web']);
    }
    await east.apply(await manifest('client'));
    client = await east.pod('client');
    url = `http://${await east.serviceAddress('web')}/`;
    await usesAll();
    const counts = await (await client.sendRequests(url, { count: 200 })).finished();
    assertNoneFailed(counts);
    assert.deepEqual(Object.keys(byCluster(counts)).sort(), ['east', 'west']);
    assert.equal(Object.keys(counts.by).length, 4, 'every pod of both clusters answers');
  });

  it('loses no request in an upgrade of both clusters, and in the rollback', async () => {
    const stream = await client.sendRequests(url);
    await stream.more(50);
    for (const cluster of mesh.clusters) await installation.upgrade(cluster, second);
    for (const { name } of east.nodes)
      assert.match(await imageOf(east, await installation.agentPod(east, name)), /0\.1\.999$/, 'it is the new version');
    for (const cluster of mesh.clusters) await installation.rollback(cluster);
    for (const { name } of east.nodes)
      assert.doesNotMatch(await imageOf(east, await installation.agentPod(east, name)), /0\.1\.999$/);
    await stream.more(50);
    const counts = await stream.stop();
    assertNoneFailed(counts);
    assert.deepEqual(Object.keys(byCluster(counts)).sort(), ['east', 'west']);
  });

  it('loses no request while the agents’ pods are deleted at random, gracefully and not', async () => {
    const stream = await client.sendRequests(url);
    const end = performance.now() + STORM_MS;
    let deleted = 0;
    while (performance.now() < end) {
      const cluster = mesh.clusters[Math.floor(Math.random() * 2)] ?? east;
      const node = cluster.nodes[Math.floor(Math.random() * 2)]?.name ?? '';
      const pod = await installation.agentPod(cluster, node);
      const grace = Math.random() < 0.5 ? ['--grace-period=0', '--force'] : [];
      if (pod !== '' && !pod.includes('\n')) {
        await cluster.kubectl(['-n', 'tombolo', 'delete', pod, '--wait=false', '--ignore-not-found', ...grace]);
        deleted++;
      }
      await sleep(500 + 2500 * Math.random()); // The storm's own rhythm; nothing is waited for.
    }
    const counts = await stream.stop();
    assert.ok(deleted > 3, `${deleted} deleted`);
    assertNoneFailed(counts);
    await usesAll();
  });

  it('leaves nothing in the kernel when it is uninstalled, and the Service to its own cluster', async () => {
    const seen = await remainders(east.node(1));
    assert.ok(seen.length >= 2, `before: ${seen}`);
    for (const cluster of mesh.clusters) await installation.uninstall(cluster);
    for (const { nodes } of mesh.clusters) for (const node of nodes) assert.deepEqual(await remainders(node), []);
    const counts = await (await client.sendRequests(url, { count: 60 })).finished();
    assertNoneFailed(counts);
    assert.deepEqual(Object.keys(byCluster(counts)), ['east']);
  });

  async function usesAll(): Promise<void> {
    for (const cluster of mesh.clusters)
      for (const { name } of cluster.nodes)
        await waitUntil(
          `four backends at ${name}`,
          async () =>
            /4 of 4 backends used/.test(await installation.tombolo(cluster, name, ['service', 'default/web'])),
          { timeoutMs: 120_000, everyMs: 500 }, // Kubelet brings a changed Secret into its pods within a minute or so.
        );
  }
});

async function imageOf(cluster: ClusterHandle, pod: string): Promise<string> {
  return cluster.kubectl(['-n', 'tombolo', 'get', pod, '-o', 'jsonpath={.spec.containers[0].image}']);
}

/** What a Tombolo agent leaves in the kernel of a node: tables, and what is pinned; `*.debug` are the kernel's own. */
async function remainders({ plan }: NodeHandle): Promise<readonly string[]> {
  const place = { netns: plan.netns, mounts: mountNamespace(plan) };
  const tables = (await command(['nft', 'list', 'tables'], place))
    .split('\n')
    .filter((line) => line.includes('tombolo'));
  const pins = (await command(['find', '/sys/fs/bpf', '-mindepth', '1', '!', '-name', '*.debug'], place))
    .split('\n')
    .filter(Boolean);
  const sockets = (await command(['find', '/run/tombolo', '-name', '*.sock'], place)).split('\n').filter(Boolean);
  return [...tables, ...pins, ...sockets];
}
