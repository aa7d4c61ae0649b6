/**
 * Where an agent and kube-proxy serve the Services of one cluster, next to each other: a real control plane without
 * nodes, and two namespaces where nodes would be, one for each contestant. Both serve all Services with nftables.
 *
 * Markers are Services with the control plane's etcd behind them: whoever can connect to the address of one is served.
 */
import { mkdir } from 'node:fs/promises';
import { cgroup2Mount } from '@tombolo/machine/cgroup.ts';
import { command } from '@tombolo/machine/command.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { Program, type ProgramSpec } from '@tombolo/machine/program.ts';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { nodeObject } from '@tombolo/real-kubernetes/run/node-object.ts';
import { layStation } from '../mesh/fabric.ts';
import { type Mesh, startMesh } from '../mesh/mesh.ts';
import { type ClusterPlan, type MeshPlan, planMesh } from '../mesh/plan.ts';
import { agentSpec } from '../mesh/programs.ts';
import { realKubernetes } from '../mesh/real-kubernetes.ts';
import { createAll } from './agent-lab.ts';
import { Helper } from './helper.ts';

export type Contestant = 'agent' | 'kube-proxy';

/** Who serves, and where. */
export interface Seat {
  readonly program: Program;
  readonly node: NodePlan;
  /** Asked from its namespace. */
  readonly readiness: Helper;
  /** The map of nftables with an element for each frontend: its table and its name. */
  readonly frontends: readonly [table: string, map: string];
}

const NAME = 'benchlocal';
const EAST = { name: 'east', id: 1 } as const;
const ETCD_PORT = 2379;

export class LocalLab {
  readonly seats: Readonly<Record<Contestant, Seat>>;
  readonly api: KubernetesClient;
  readonly #mesh: Mesh;
  readonly #east: ClusterPlan;
  readonly #signal: AbortSignal;
  #services = 0;

  private constructor(mesh: Mesh, east: ClusterPlan, seats: LocalLab['seats'], signal: AbortSignal) {
    this.#mesh = mesh;
    this.#east = east;
    this.#signal = signal;
    this.seats = seats;
    this.api = new KubernetesClient(east.api, { keepAlive: true });
  }

  static async start(signal: AbortSignal): Promise<LocalLab> {
    const kubernetes = realKubernetes();
    const { kubeProxy } = await kubernetesBinaries(); // First of all: it may not have been built.
    const clusters = [{ ...EAST, nodes: 0 }];
    const mesh = await startMesh({ name: NAME, clusters, kubernetes, without: 'apiservers and agents' });
    try {
      const more = [{ ...EAST, nodes: [{ name: 'agent' }, { name: 'proxy' }] }];
      const plan = planMesh(meshPlaces(meshName(NAME)), await cgroup2Mount(), more, kubernetes);
      const [east] = plan.clusters;
      const [agent, proxy] = east?.nodes ?? [];
      if (!(east && agent && proxy)) throw new Error(`Cannot measure: expected two nodes in the plan of ${EAST.name}`);
      const spec = agentSpec(east, agent, { datapath: 'nftables', services: 'all', logLevel: 'warn' });
      const seats = {
        agent: await seat(plan, east, agent, spec, ['ip tombolo', 'services']),
        'kube-proxy': await seat(plan, east, proxy, proxySpec(east, proxy, kubeProxy), [
          'ip kube-proxy',
          'service-ips',
        ]),
      };
      const lab = new LocalLab(mesh, east, seats, signal);
      for (const node of [agent, proxy]) await lab.#report(node);
      return lab;
    } catch (error) {
      await mesh.close();
      throw error;
    }
  }

  /** What a kubelet says of its node; kube-proxy waits for it. */
  async #report(node: NodePlan): Promise<void> {
    const manifest = nodeObject(node, [node.podCidr, node.podCidr6]);
    await this.api.apply(manifest);
    const addresses = [node.address, node.address6].map((address) => ({ type: 'InternalIP', address }));
    await this.api.patch(manifest, { status: { addresses } }, 'status');
  }

  /** Makes Services of so many endpoints each. */
  async fill(services: number, endpoints: number): Promise<void> {
    const all = Array.from({ length: services }, (_, i) =>
      objects(`service-${i}`, this.#next(), addresses(i, endpoints)),
    );
    await createAll(this.api, all.flat(), this.#signal);
  }

  /** Its address. */
  async addMarker(): Promise<string> {
    const [service, slice] = objects(`marker-${this.#services}`, this.#next(), [this.#east.controlPlane.address]);
    for (const object of [service, slice]) await this.api.create(object);
    return service.spec.clusterIP;
  }

  #next(): string {
    const number = this.#services++;
    return `10.96.${64 + (number >> 8)}.${number & 255}`;
  }

  /** Whether the kernel has a frontend for each Service. Takes the kernel and this process tens of milliseconds. */
  async isRight({ node, frontends: [table, map] }: Seat): Promise<boolean> {
    const text = await command(['nft', 'list', 'map', ...table.split(' '), map], { netns: node.netns });
    const found = new Set(text.match(/\b10\.96\.(?:6[4-9]|[7-9]\d|1\d\d|2\d\d)\.\d+(?= \. tcp)/g));
    return found.size === this.#services;
  }

  /** Ends the program, and takes what it has left out of the kernel. */
  async clear({ program, node }: Seat): Promise<void> {
    await program.kill();
    await command(['nft', 'flush', 'ruleset'], { netns: node.netns });
  }

  async close(): Promise<void> {
    this.api.close();
    await this.#mesh.close();
  }
}

async function seat(
  plan: MeshPlan,
  { bridge }: ClusterPlan,
  node: NodePlan,
  spec: ProgramSpec,
  frontends: Seat['frontends'],
): Promise<Seat> {
  await layStation(plan, bridge, node);
  await mkdir(node.directory, { recursive: true });
  await mkdir(node.bpfDirectory, { recursive: true });
  const readiness = await Helper.start('ready-at', [], node);
  return { program: new Program(spec), node, readiness, frontends };
}

/** Set up as the lab's real nodes have it. */
function proxySpec(east: ClusterPlan, node: NodePlan, kubeProxy: string): ProgramSpec {
  return {
    name: 'kube-proxy',
    argv: [
      ...[kubeProxy, `--kubeconfig=${east.kubeconfig}`, `--hostname-override=${node.name}`],
      ...['--proxy-mode=nftables', '--conntrack-max-per-core=0', '--nodeport-addresses=primary'],
      ...['--detect-local-mode=NodeCIDR', `--cluster-cidr=${node.podCidr},${node.podCidr6}`],
    ],
    netns: node.netns,
    cgroup: `${node.cgroup}/system/kube-proxy`,
    logFile: `${node.directory}/kube-proxy.log`,
  };
}

/** Nobody's. */
const addresses = (service: number, endpoints: number): readonly string[] =>
  Array.from({ length: endpoints }, (_, i) => {
    const number = service * endpoints + i;
    return `10.2.${number >> 8}.${number & 255}`;
  });

interface ServiceManifest extends Manifest {
  readonly spec: { readonly clusterIP: string; readonly [field: string]: unknown };
}

function objects(name: string, clusterIP: string, endpoints: readonly string[]): readonly [ServiceManifest, Manifest] {
  const metadata = { name, namespace: 'default' };
  const ports = [{ name: 'http', port: 80, targetPort: ETCD_PORT, protocol: 'TCP' }];
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP, clusterIPs: [clusterIP], ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: endpoints.map((address) => ({ addresses: [address], conditions: { ready: true } })),
      ports: [{ name: 'http', port: ETCD_PORT, protocol: 'TCP' }],
    },
  ];
}
