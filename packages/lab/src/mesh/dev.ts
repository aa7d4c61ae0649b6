/**
 * `scripts/dev`: a mesh on one machine for those who develop: start one, run commands in its pods and nodes, take it
 * down. Works on any mesh that was kept, the demo's too.
 */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { programEnvironment } from '@tombolo/machine/environment.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { knownMeshes, readState } from '@tombolo/machine/owner.ts';
import { type Placement, placed } from '@tombolo/machine/placement.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';
import { Command, Option } from 'commander';
import { keptMeshHelp } from './kept.ts';
import { podPlacesOf } from './kubernetes.ts';
import { startMesh } from './mesh.ts';
import { allNodes, type ClusterPlan, type MeshPlan } from './plan.ts';
import { typescript } from './programs.ts';
import { loadImages, realKubernetes } from './real-kubernetes.ts';

const program = new Command('scripts/dev')
  .description('A mesh of clusters on this machine, in network namespaces')
  .option('-m, --mesh <name>', 'which mesh; goes before the command', 'demo')
  .enablePositionalOptions();

program
  .command('up')
  .description('start east and west with two nodes each, and leave them running')
  .addOption(
    new Option('--kubernetes <kind>', 'small, or Kubernetes itself').choices(['small', 'real']).default('small'),
  )
  .option('--bare', 'without Tombolo, which is then yours to install; real Kubernetes with kube-proxy')
  .action(async ({ kubernetes, bare }: { kubernetes: 'small' | 'real'; bare?: true }) => {
    const name = program.opts<{ mesh: string }>().mesh;
    await expectNone(name);
    const clusters = ['east', 'west'].map((cluster, index) => ({ name: cluster, id: index + 1, nodes: 2 }));
    const mesh = await startMesh({
      name,
      clusters,
      kubernetes: kubernetes === 'real' ? realKubernetes(bare && 'nftables') : { kind: 'small' },
      ...(bare && { without: 'apiservers and agents' }),
    });
    await mesh.keep();
    console.log(keptMeshHelp(mesh.plan, { bare }));
  });

program
  .command('load <archive...>')
  .description(
    'bring the images of OCI archives to every node of a real Kubernetes: scripts/dev load build/image/….tar',
  )
  .action(async (archives: string[]) => {
    const mesh = await plan();
    for (const archive of archives.map((each) => resolve(each))) {
      if (!statSync(archive, { throwIfNoEntry: false })?.isFile())
        throw new Error(`Cannot load ${archive}: expected an OCI archive: it is no file`);
      await loadImages(mesh, [archive]);
      console.log(`Every node of ${mesh.clusters.map(({ name }) => name).join(', ')} has ${archive}`);
    }
  });

program
  .command('down')
  .description('take the mesh off this machine')
  .action(async () => {
    const places = meshPlaces(meshName(program.opts<{ mesh: string }>().mesh));
    await removeMesh(places);
    console.log(`Mesh '${places.name}' is gone`);
  });

program
  .command('list')
  .description('the meshes on this machine')
  .action(async () => {
    for (const name of await knownMeshes()) console.log(name);
  });

program
  .command('exec <cluster> <pod> <command...>')
  .description('run a command in a pod, as kubectl exec would: scripts/dev exec east client -- curl …')
  .option('-n, --namespace <namespace>', "the pod's namespace", 'default')
  .passThroughOptions()
  .action(async (cluster: string, pod: string, command: string[], { namespace }: { namespace: string }) =>
    runThere(command, await podPlacement(cluster, pod, namespace)),
  );

program
  .command('requests <cluster> <pod> <url> [options...]')
  .description(
    'send requests from a pod, one after another, and count who answers, until Ctrl-C: http://ADDRESS/, tcp://ADDRESS:PORT or udp://ADDRESS:PORT; --count N, --workers N, --interval-ms MS, --timeout-ms MS, --json',
  )
  .passThroughOptions()
  .action(async (cluster: string, pod: string, url: string, options: string[]) => {
    const host = URL.parse(url)?.hostname ?? '';
    if (isIP(host.replace(/^\[|\]$/g, '')) === 0)
      // The program is this machine's, which does not know the pod's DNS.
      throw new Error(
        `Cannot send requests: expected a URL with an address, such as http://10.96.0.1/: current value is '${url}'`,
      );
    const argv = [...typescript('packages/machine/src/programs/requests.ts'), url, ...options];
    runThere(argv, await podPlacement(cluster, pod, 'default'));
  });

program
  .command('node <node> <command...>')
  .description('run a command in the network namespace and control group of a node')
  .passThroughOptions()
  .action(async (name: string, command: string[]) => {
    const node = find(allNodes(await plan()), name, 'node');
    runThere(command, { netns: node.netns, cgroup: await createCgroup(`${node.cgroup}/system/exec`) });
  });

await program.parseAsync().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});

/** What runs is not thrown away without being asked. */
async function expectNone(name: string): Promise<void> {
  const state = await readState(meshPlaces(meshName(name)));
  if (state === undefined || state.owner !== undefined) return; // Owned: running elsewhere, or to be swept.
  throw new Error(
    `Cannot start mesh '${name}': there is one of that name; take it down first: scripts/dev -m ${name} down`,
  );
}

async function plan(): Promise<MeshPlan> {
  const places = meshPlaces(meshName(program.opts<{ mesh: string }>().mesh));
  const state = await readState(places);
  if (state?.plan) return state.plan as MeshPlan;
  throw new Error(`Cannot find mesh '${places.name}': start it with 'scripts/dev up' or 'scripts/demo --keep'`);
}

async function podPlacement(clusterName: string, name: string, namespace: string): Promise<Placement> {
  const mesh = await plan();
  const cluster = find(mesh.clusters, clusterName, 'cluster');
  const address = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } };
  const pod = await new KubernetesClient(cluster.api).find<Pod>(address);
  if (pod === undefined) throw new Error(`Cannot find pod ${namespace}/${name} in cluster '${clusterName}'`);
  const node = find(cluster.nodes, pod.spec.nodeName ?? '', 'node');
  const { netns, cgroup } = await podPlacesOf(mesh.kubernetes, node, pod);
  return { netns, cgroup: await createCgroup(cgroup) };
}

function find<T extends ClusterPlan | NodePlan>(candidates: readonly T[], name: string, what: string): T {
  const found = candidates.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw new Error(`Cannot find ${what} '${name}': expected one of ${candidates.map((candidate) => candidate.name)}`);
}

function runThere(argv: readonly string[], placement: Placement): void {
  const [file = '', ...args] = placed(argv[0] === '--' ? argv.slice(1) : argv, placement);
  const child = spawn(file, args, { stdio: 'inherit', env: programEnvironment() });
  process.on('SIGINT', () => {}); // The command has got it too, and decides.
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
