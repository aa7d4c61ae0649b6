/** The files of a mesh: mounts to hold them, kubeconfigs, clustermesh directories, plans. Gone with the mesh. */
import { mkdir, writeFile } from 'node:fs/promises';
import { command } from '@tombolo/machine/command.ts';
import { stringify } from 'yaml';
import { allNodes, type ClusterPlan, type MeshPlan } from './plan.ts';
import { KUBERNETES_PORT, nodePlanFile } from './programs.ts';

/** Everything is in memory (etcd's syncs cost nothing there), and one unmount ends it all. */
export async function makeDirectories(plan: MeshPlan): Promise<void> {
  await mkdir(plan.directory, { recursive: true });
  await command(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tombolo-dev', plan.directory]);
  await mkdir(`${plan.directory}/bpf`);
  await command(['mount', '-t', 'bpf', 'bpf', `${plan.directory}/bpf`]);
  for (const { clustermeshDirectory } of plan.clusters) await mkdir(clustermeshDirectory, { recursive: true });
  for (const node of allNodes(plan)) {
    await mkdir(node.directory, { recursive: true });
    await mkdir(node.bpfDirectory);
  }
}

export async function writeFiles(plan: MeshPlan): Promise<void> {
  for (const cluster of plan.clusters) {
    const server = `http://${cluster.controlPlane.address}:${KUBERNETES_PORT}`;
    await writeFile(cluster.kubeconfig, kubeconfig([[cluster.name, server]]));
    for (const remote of plan.clusters.filter(({ id }) => id !== cluster.id)) await joinCluster(cluster, remote);
  }
  for (const node of allNodes(plan)) await writeFile(nodePlanFile(node), JSON.stringify(node, undefined, 2));
}

/** Puts `remote` into the clustermesh directory of `cluster`, as the Secret would. */
async function joinCluster(cluster: ClusterPlan, remote: ClusterPlan): Promise<void> {
  await writeFile(`${cluster.clustermeshDirectory}/${remote.name}`, stringify({ endpoints: [remote.etcdEndpoint] }));
}

/** One context for each server, named as its cluster; the first is current. */
export function kubeconfig(servers: readonly (readonly [cluster: string, server: string])[]): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: servers.map(([name, server]) => ({ name, cluster: { server } })),
    users: [{ name: 'developer', user: {} }],
    contexts: servers.map(([name]) => ({ name, context: { cluster: name, user: 'developer' } })),
    'current-context': servers[0]?.[0],
  });
}
