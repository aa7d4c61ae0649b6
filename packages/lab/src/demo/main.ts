/** `scripts/demo`: starts two clusters, tells the story, takes all down again. */
import { parseArgs } from 'node:util';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { isInterrupted } from '@tombolo/machine/interrupt.ts';
import { type MeshPlaces, meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { readState } from '@tombolo/machine/owner.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';
import { keptMeshHelp } from '../mesh/kept.ts';
import { type Mesh, startMesh } from '../mesh/mesh.ts';
import { allNodes, type KubernetesKind } from '../mesh/plan.ts';
import { realKubernetes } from '../mesh/real-kubernetes.ts';
import { Narrator } from './narrator.ts';
import { tellStory } from './story.ts';

const USAGE = `Usage: scripts/demo [--check] [--keep] [--kubernetes=real] | --down

Shows a Service becoming global across two clusters, on this machine: network namespaces as nodes, real etcd, the real
apiserver and agents, the real kernel, and a small stand-in for Kubernetes. Nothing can leave the machine.

  --check               end at the first thing that does not hold, with exit code 1
  --keep                leave the clusters running, and say how to use them
  --down                take down what --keep left
  --kubernetes KIND     small (default), or real: Kubernetes itself, which is built first (10 to 20 minutes, once)
  --datapath KIND       ebpf, nftables or auto (default)
  --mesh NAME           another name than 'demo', for several at once`;

const DEFAULT_NAME = 'demo';
const DATAPATHS = ['auto', 'ebpf', 'nftables'] as const;
type Datapath = (typeof DATAPATHS)[number];
const KINDS = ['small', 'real'] as const;

interface DemoOptions {
  readonly places: MeshPlaces;
  readonly keep: boolean;
  readonly datapath: Datapath;
  readonly kubernetes: KubernetesKind;
}

async function demo(narrator: Narrator, { places, keep, datapath, kubernetes }: DemoOptions): Promise<void> {
  if ((await readState(places)) !== undefined) narrator.say('What an earlier run left is taken down first.');
  narrator.say('Starting two clusters …');
  const start = performance.now();
  const mesh = await startMesh({
    name: places.name,
    clusters: [
      { name: 'east', id: 1, nodes: 2 },
      { name: 'west', id: 2, nodes: 2 },
    ],
    kubernetes,
    agent: { datapath },
  });
  try {
    narrator.chapter('Two clusters, with two nodes each');
    introduce(mesh, narrator, performance.now() - start);
    await tellStory(mesh, narrator);
  } catch (error) {
    await leave(mesh, narrator, keep && !isInterrupted());
    throw error;
  }
  narrator.chapter(keep ? 'The end, but not of the clusters' : 'The end');
  await leave(mesh, narrator, keep);
}

async function leave(mesh: Mesh, narrator: Narrator, keep: boolean): Promise<void> {
  if (keep) {
    await mesh.keep();
    narrator.say(keptMeshHelp(mesh.plan, { down: `scripts/demo${flag(mesh.plan.name)} --down` }));
  } else {
    await mesh.close();
    if (!isInterrupted()) narrator.say('Every namespace, process, control group, mount and file of the demo is gone.');
  }
}

const flag = (name: string): string => (name === DEFAULT_NAME ? '' : ` --mesh ${name}`);

function introduce({ plan }: Mesh, narrator: Narrator, tookMs: number): void {
  const nodes = allNodes(plan).map(
    ({ name, address, podCidr, zone }) => `${name} (${address}, pods ${podCidr}, zone ${zone})`,
  );
  narrator.say(
    `${nodes.join('\n')}\nStarted in ${(tookMs / 1000).toFixed(1)} s: etcd, ${plan.kubernetes.kind === 'real' ? 'a real Kubernetes' : 'a small Kubernetes'} and clustermesh-apiserver in each cluster, an agent on each node.`,
  );
  narrator.command(`export KUBECONFIG=${plan.kubeconfig}`);
  narrator.command(`export TOMBOLO_ADDRESS=unix://${allNodes(plan)[0]?.agentSocket}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      check: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      down: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      kubernetes: { type: 'string', default: 'small' },
      datapath: { type: 'string', default: 'auto' },
      mesh: { type: 'string', default: DEFAULT_NAME },
    },
  });
  const datapath = DATAPATHS.find((known) => known === values.datapath);
  const kind = KINDS.find((known) => known === values.kubernetes);
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (datapath === undefined) return refuse('--datapath', DATAPATHS, values.datapath);
  if (kind === undefined) return refuse('--kubernetes', KINDS, values.kubernetes);
  process.chdir(REPOSITORY); // Commands are printed as typed there.
  const places = meshPlaces(meshName(values.mesh));
  if (values.down) {
    await removeMesh(places);
    console.log('The demo is down.');
    return 0;
  }
  const narrator = new Narrator(values.check);
  const kubernetes: KubernetesKind = kind === 'real' ? realKubernetes() : { kind };
  await demo(narrator, { places, keep: values.keep, datapath, kubernetes });
  if (narrator.failed > 0) console.log(`\n${narrator.failed} things did not hold.`);
  return narrator.failed > 0 ? 1 : 0;
}

function refuse(flag: string, known: readonly string[], value: string): number {
  console.error(`scripts/demo: ${flag} must be one of ${known.join(', ')}: current value is '${value}'`);
  return 2;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isInterrupted()) console.error(`\nscripts/demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
