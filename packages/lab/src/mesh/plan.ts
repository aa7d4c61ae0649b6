/**
 * The layout of a mesh: which namespaces, addresses and places each cluster and node has. Pure, and plain data, so that
 * it can be kept in a file and read by another process.
 *
 *   underlay        10.0.CLUSTER.NODE/16      fd00::CLUSTER:NODE/64     (the control plane is node 250)
 *   pods of a node  10.CLUSTER.NODE.0/24      fd00:CLUSTER:NODE::/64
 *   services        10.96.0.0/16              fd00:96::/112             (the same in every cluster, as in real life)
 */

import type { ApiAccess } from '@tombolo/machine/kubernetes/client.ts';
import type { TlsFiles } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import type { MeshPlaces } from '@tombolo/machine/names.ts';
import type { NodePlan, StationPlan } from '@tombolo/machine/node-plan.ts';
import { parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';

export const SERVICE_CIDR = '10.96.0.0/16';
export const SERVICE_CIDR6 = 'fd00:96::/112';
export const KUBERNETES_PORT = 6443;
const CONTROL_PLANE = 250;
const LAST_CLUSTER = 95;

export interface NodeSpec {
  /** `east-1`, … unless told. */
  readonly name?: string;
  readonly zone?: string;
}

export interface ClusterSpec {
  readonly name: string;
  readonly id: number;
  /** A number, or each node in words. */
  readonly nodes: number | readonly NodeSpec[];
}

export type Family = 'ipv4' | 'ipv6';

/** Which Kubernetes a mesh has: the small one, or the real one in a version that `scripts/kubernetes` can build. */
export type KubernetesKind =
  | { readonly kind: 'small' }
  | {
      readonly kind: 'real';
      readonly version: string;
      /** Families of Services and pods; the first is the primary one. */
      readonly families: readonly Family[];
      /** Absent: none; then the agents must serve all Services. */
      readonly proxy: 'nftables' | 'iptables' | undefined;
    };

export interface ClusterPlan {
  readonly name: string;
  readonly id: number;
  readonly controlPlane: StationPlan;
  readonly nodes: readonly NodePlan[];
  readonly bridge: string;
  /** The cluster's link to the other clusters, in the underlay namespace. */
  readonly uplink: string;
  readonly directory: string;
  readonly apiSocket: string;
  readonly api: ApiAccess;
  /** Of its API, for whoever is in the mesh; in the primary family. */
  readonly apiAddress: string;
  readonly server: string;
  /** For programs inside the mesh. */
  readonly kubeconfig: string;
  readonly clustermeshDirectory: string;
  readonly etcdEndpoint: string;
}

export interface MeshPlan {
  readonly name: string;
  readonly directory: string;
  readonly underlay: string;
  readonly cgroup: string;
  /** For people and tests outside the mesh: one context for each cluster. */
  readonly kubeconfig: string;
  readonly kubernetes: KubernetesKind;
  readonly clusters: readonly ClusterPlan[];
}

export function planMesh(
  places: MeshPlaces,
  cgroupRoot: string,
  clusters: readonly ClusterSpec[],
  kubernetes: KubernetesKind = { kind: 'small' },
): MeshPlan {
  const cgroup = `${cgroupRoot}/${places.cgroupName}`;
  const plan = {
    name: places.name,
    directory: places.directory,
    underlay: `${places.netnsPrefix}underlay`,
    cgroup,
    kubeconfig: `${places.directory}/kubeconfig`,
    kubernetes,
    clusters: clusters.map((cluster) => planCluster(places, cgroup, cluster, kubernetes)),
  };
  expectDifferent(
    'id for each cluster',
    plan.clusters.map(({ id }) => id),
  );
  expectDifferent(
    'name for each cluster',
    plan.clusters.map(({ name }) => name),
  );
  expectDifferent(
    'name for each node',
    allNodes(plan).map(({ name }) => name),
  );
  return plan;
}

function expectDifferent(what: string, values: readonly (string | number)[]): void {
  if (new Set(values).size < values.length)
    throw new Error(`Cannot plan a mesh: expected a different ${what}: current value is ${values}`);
}

function planCluster(
  places: MeshPlaces,
  meshCgroup: string,
  { name, id, nodes }: ClusterSpec,
  kubernetes: KubernetesKind,
): ClusterPlan {
  const identity = parseClusterIdentity(name, id);
  if (!identity.ok) throw new Error(`Cannot plan a mesh: ${identity.error}`);
  if (id > LAST_CLUSTER)
    throw new Error(`Cannot plan a mesh: expected a cluster id of 1-${LAST_CLUSTER}: current value is ${id}`);
  const specs = typeof nodes === 'number' ? Array.from({ length: nodes }, () => ({})) : nodes;
  if (specs.length >= CONTROL_PLANE)
    throw new Error(`Cannot plan a mesh: expected fewer than ${CONTROL_PLANE} nodes: current value is ${specs.length}`);
  const directory = `${places.directory}/${name}`;
  const cgroup = `${meshCgroup}/${name}`;
  const controlPlane = planStation(
    `${places.netnsPrefix}${name}-control-plane`,
    id,
    CONTROL_PLANE,
    `${cgroup}/control`,
  );
  const apiSocket = `${directory}/kubernetes.sock`;
  const real = kubernetes.kind === 'real';
  const api = { socket: apiSocket, ...(real && { tls: adminFiles(directory) }) };
  const apiAddress = real && kubernetes.families[0] === 'ipv6' ? controlPlane.address6 : controlPlane.address;
  return {
    name,
    id,
    controlPlane,
    nodes: specs.map((spec, index) => planNode(places, { name, id, directory, cgroup, api }, spec, index + 1)),
    bridge: `c${id}`,
    uplink: `c${id}-up`,
    directory,
    apiSocket,
    api,
    apiAddress,
    server: `${real ? 'https' : 'http'}://${apiAddress.includes(':') ? `[${apiAddress}]` : apiAddress}:${KUBERNETES_PORT}`,
    kubeconfig: `${directory}/kubeconfig`,
    clustermeshDirectory: `${directory}/clustermesh`,
    etcdEndpoint: `http://${controlPlane.address}:2379`,
  };
}

interface ClusterParts {
  readonly name: string;
  readonly id: number;
  readonly directory: string;
  readonly cgroup: string;
  readonly api: ApiAccess;
}

function planNode(places: MeshPlaces, cluster: ClusterParts, spec: NodeSpec, number: number): NodePlan {
  const name = spec.name ?? `${cluster.name}-${number}`;
  const directory = `${cluster.directory}/${name}`;
  const [c, n] = [hex(cluster.id), hex(number)];
  return {
    ...planStation(`${places.netnsPrefix}${name}`, cluster.id, number, `${cluster.cgroup}/${name}`),
    name,
    cluster: cluster.name,
    zone: spec.zone ?? `${cluster.name}-${number % 2 === 1 ? 'a' : 'b'}`,
    podCidr: `10.${cluster.id}.${number}.0/24`,
    podCidr6: `fd00:${c}:${n}::/64`,
    gateway: `10.${cluster.id}.${number}.1`,
    gateway6: `fd00:${c}:${n}::1`,
    directory,
    agentSocket: `${directory}/agent.sock`,
    bpfDirectory: `${places.directory}/bpf/${name}`,
    api: cluster.api,
  };
}

function planStation(netns: string, clusterId: number, number: number, cgroup: string): StationPlan {
  return {
    netns,
    address: `10.0.${clusterId}.${number}`,
    address6: `fd00::${hex(clusterId)}:${hex(number)}`,
    link: `c${clusterId}-n${number}`,
    cgroup,
  };
}

/** All namespaces of the mesh that have routes: control planes first. */
export function stations(plan: MeshPlan): readonly StationPlan[] {
  return [...plan.clusters.map(({ controlPlane }) => controlPlane), ...allNodes(plan)];
}

export function allNodes(plan: MeshPlan): readonly NodePlan[] {
  return plan.clusters.flatMap(({ nodes }) => nodes);
}

/** Where the control plane of a real cluster has its administrator's certificate. */
function adminFiles(directory: string): TlsFiles {
  const file = (name: string): string => `${directory}/control-plane/${name}`;
  return { ca: file('ca.crt'), cert: file('ca-admin.crt'), key: file('ca-admin.key') };
}

function hex(number: number): string {
  return number.toString(16);
}
