/** The files of a mesh: mounts to hold them, kubeconfigs, clustermesh directories, plans. Gone with the mesh. */
import { mkdir, writeFile } from 'node:fs/promises';
import { mountPlaces } from '@tombolo/machine/claim.ts';
import { command } from '@tombolo/machine/command.ts';
import { kubeconfig } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import { stringify } from 'yaml';
import { allNodes, type ClusterPlan, type MeshPlan } from './plan.ts';
import { nodePlanFile } from './programs.ts';

export async function makeDirectories(plan: MeshPlan): Promise<void> {
  await mountPlaces(plan);
  await mkdir(`${plan.directory}/bpf`);
  await command(['mount', '-t', 'bpf', 'bpf', `${plan.directory}/bpf`]);
  for (const { clustermeshDirectory } of plan.clusters) await mkdir(clustermeshDirectory, { recursive: true });
  for (const node of allNodes(plan)) {
    await mkdir(node.directory, { recursive: true });
    await mkdir(node.bpfDirectory);
  }
}

export async function writeFiles(plan: MeshPlan): Promise<void> {
  for (const cluster of plan.clusters)
    for (const remote of plan.clusters.filter(({ id }) => id !== cluster.id)) await joinCluster(cluster, remote);
  for (const node of allNodes(plan)) await writeFile(nodePlanFile(node), JSON.stringify(node, undefined, 2));
}

/** Puts `remote` into the clustermesh directory of `cluster`, as the Secret would. */
async function joinCluster(cluster: ClusterPlan, remote: ClusterPlan): Promise<void> {
  await writeFile(`${cluster.clustermeshDirectory}/${remote.name}`, stringify({ endpoints: [remote.etcdEndpoint] }));
}

/** For the programs of each cluster, inside the mesh. Of a real cluster: when its certificates have been made. */
export async function writeKubeconfigs({ clusters }: MeshPlan): Promise<void> {
  for (const { name, kubeconfig: file, server, api } of clusters)
    await writeFile(file, kubeconfig([{ cluster: name, server, tls: api.tls }]), { mode: 0o600 });
}
