/** A cluster on the real Kubernetes, its nodes in the namespaces of the mesh; CoreDNS beside its control plane. */
import { mkdir } from 'node:fs/promises';
import { cgroupProcesses } from '@tombolo/machine/cgroup.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { Program } from '@tombolo/machine/program.ts';
import { allDone } from '@tombolo/machine/wait.ts';
import { kubernetesBinaries, labImages } from '@tombolo/real-kubernetes/building/built.ts';
import { NEWEST } from '@tombolo/real-kubernetes/building/parts.ts';
import type { Binaries } from '@tombolo/real-kubernetes/run/binaries.ts';
import { ControlPlane } from '@tombolo/real-kubernetes/run/control-plane.ts';
import { corednsSpec, DNS_ADDRESS, dnsObjects } from '@tombolo/real-kubernetes/run/dns.ts';
import { importImages, podCidrOf, RealNode } from '@tombolo/real-kubernetes/run/node.ts';
import { nodeObject } from '@tombolo/real-kubernetes/run/node-object.ts';
import type { ClusterKubernetes, PodPlaces } from './cluster-kubernetes.ts';
import {
  type ClusterPlan,
  KUBERNETES_PORT,
  type KubernetesKind,
  type MeshPlan,
  SERVICE_CIDR,
  SERVICE_CIDR6,
} from './plan.ts';
import { doorSpec } from './programs.ts';

type RealKind = Extract<KubernetesKind, { kind: 'real' }>;

/** The newest that can be built, dual stack. Without kube-proxy: the agents of a mesh serve all Services unless told. */
export const realKubernetes = (proxy?: RealKind['proxy'], version: string = NEWEST): RealKind => ({
  kind: 'real',
  version,
  families: ['ipv4', 'ipv6'],
  proxy,
});

interface Parts {
  readonly controlPlane: ControlPlane;
  readonly nodes: readonly RealNode[];
  readonly dns: Program;
  readonly api: KubernetesClient;
}

export class RealCluster implements ClusterKubernetes {
  readonly #cluster: ClusterPlan;
  readonly #kind: RealKind;
  readonly #door: Program;
  #parts: Promise<Parts> | undefined;

  constructor(cluster: ClusterPlan, kind: RealKind) {
    this.#cluster = cluster;
    this.#kind = kind;
    this.#door = new Program(doorSpec(cluster));
  }

  async start(): Promise<void> {
    const parts = await this.#prepared();
    await allDone([
      parts.controlPlane.start(parts.api),
      this.#door.start(),
      ...parts.nodes.map((node) => node.prepare()),
    ]);
  }

  async ready(): Promise<void> {
    const { controlPlane, api } = await this.#prepared();
    await controlPlane.ready(api);
  }

  async startNodes(): Promise<void> {
    const { nodes, dns, api } = await this.#prepared();
    const { families } = this.#kind;
    for (const { plan } of nodes)
      await api.apply(
        nodeObject(
          plan,
          families.map((family) => podCidrOf(plan, family)),
        ),
      );
    for (const object of dnsObjects(this.#cluster.controlPlane, families)) await api.apply(object);
    await allDone([dns.start(), ...nodes.map((node) => node.start())]);
  }

  async nodesReady(): Promise<void> {
    const { nodes, api } = await this.#prepared();
    await api.nodesReady(nodes.map(({ plan }) => plan.name));
  }

  async proxy(name: string): Promise<Program | undefined> {
    const { nodes } = await this.#prepared();
    return nodes.find(({ plan }) => plan.name === name)?.proxy;
  }

  async kill(): Promise<void> {
    await (await this.#prepared()).controlPlane.kill();
  }

  #prepared(): Promise<Parts> {
    this.#parts ??= this.#prepare();
    return this.#parts;
  }

  async #prepare(): Promise<Parts> {
    const { controlPlane: station, apiAddress, directory, name, nodes } = this.#cluster;
    const { families, proxy, version } = this.#kind;
    const binaries = await kubernetesBinaries(version);
    const controlPlane = await ControlPlane.prepare(
      {
        cluster: name,
        netns: station.netns,
        cgroup: station.cgroup,
        directory: `${directory}/control-plane`,
        address: apiAddress,
        alsoKnownAs: [station.address, station.address6],
        port: KUBERNETES_PORT,
        etcdPorts: { client: 2381, peer: 2382 }, // 2379 is the mesh's.
        serviceCidrs: families.map((family) => (family === 'ipv4' ? SERVICE_CIDR : SERVICE_CIDR6)),
      },
      binaries,
    );
    const images = await labImages();
    const clusterDns = families.map((family) => DNS_ADDRESS[family]).slice(0, 1);
    return {
      controlPlane,
      api: new KubernetesClient(this.#cluster.api),
      nodes: nodes.map((plan) => {
        const environment = { CLUSTER_NAME: name, NODE_NAME: plan.name };
        return new RealNode(plan, controlPlane, binaries, { clusterDns, proxy, images, families, environment });
      }),
      dns: await this.#dns(controlPlane, binaries),
    };
  }

  async #dns(controlPlane: ControlPlane, binaries: Binaries): Promise<Program> {
    const directory = `${this.#cluster.directory}/dns`;
    await mkdir(directory, { recursive: true });
    return new Program(await corednsSpec(this.#cluster.controlPlane, directory, controlPlane, binaries));
  }
}

/** Brings the images of OCI archives to every node, as a registry would. */
export async function loadImages({ kubernetes, clusters }: MeshPlan, archives: readonly string[]): Promise<void> {
  if (kubernetes.kind !== 'real') throw new Error('Cannot load images: expected a mesh on the real Kubernetes');
  const { ctr } = await kubernetesBinaries(kubernetes.version);
  await allDone(clusters.flatMap(({ nodes }) => nodes.map((node) => importImages(node, ctr, archives))));
}

/** By one of its processes: its namespaces have no names outside the node. */
export async function realPodPlaces(node: NodePlan, pod: Pod): Promise<PodPlaces> {
  const { uid, name } = pod.metadata;
  const places = { cgroup: `${node.cgroup}/exec/${uid}`, directory: `${node.directory}/exec/${name}` };
  if (pod.spec.hostNetwork) return { ...places, netns: node.netns };
  for (const qos of ['', 'burstable/', 'besteffort/']) {
    const [pid] = await cgroupProcesses(`${node.cgroup}/kubepods/${qos}pod${uid}`);
    if (pid !== undefined) return { ...places, netns: `/proc/${pid}/ns/net` };
  }
  throw new Error(`Cannot find pod ${name} on ${node.name}: expected a process of it in ${node.cgroup}/kubepods`);
}
