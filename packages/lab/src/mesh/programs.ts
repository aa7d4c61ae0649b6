/** The programs of a mesh: what is started where, with which flags. Pure. */
import { join } from 'node:path';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { ProgramSpec } from '@tombolo/machine/program.ts';
import { type ClusterPlan, KUBERNETES_PORT, type MeshPlan, SERVICE_CIDR, SERVICE_CIDR6 } from './plan.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface AgentOptions {
  readonly datapath?: 'auto' | 'ebpf' | 'nftables';
  readonly services?: 'global' | 'all';
  readonly logLevel?: LogLevel;
  /** More arguments for the agent of one node; the last of two equal flags counts. */
  readonly more?: (node: NodePlan) => readonly string[];
}

export const HEALTH_PORTS = { apiserver: 9880, agent: 9879 } as const;
const ETCD_PEER = 'http://127.0.0.1:2380';

export function etcdSpec(cluster: ClusterPlan): ProgramSpec {
  const { etcdEndpoint, directory } = cluster;
  return onControlPlane(cluster, 'etcd', [
    'etcd',
    ...['--name', 'etcd', '--data-dir', `${directory}/etcd`],
    ...['--auto-compaction-mode', 'periodic', '--auto-compaction-retention', '1m'],
    ...['--listen-client-urls', etcdEndpoint, '--advertise-client-urls', etcdEndpoint],
    ...['--listen-peer-urls', ETCD_PEER, '--initial-advertise-peer-urls', ETCD_PEER],
    ...['--initial-cluster', `etcd=${ETCD_PEER}`, '--logger', 'zap', '--log-level', 'warn'],
    ...['--heartbeat-interval', '20', '--election-timeout', '200'], // Alone in its cluster: elected at once.
  ]);
}

export function kubernetesSpec(cluster: ClusterPlan): ProgramSpec {
  const spec = onControlPlane(cluster, 'kubernetes', [
    ...typescript('packages/small-kubernetes/src/api/main.ts'),
    ...['--host', cluster.controlPlane.address, '--port', `${KUBERNETES_PORT}`],
    ...['--unix', cluster.apiSocket, '--service-cidr', `${SERVICE_CIDR},${SERVICE_CIDR6}`],
    ...['--cluster-name', cluster.name],
  ]);
  return { ...spec, socket: cluster.apiSocket };
}

/** The way to a real API server, which listens on its address only. */
export function doorSpec(cluster: ClusterPlan): ProgramSpec {
  const { apiSocket, apiAddress } = cluster;
  const argv = [...typescript('packages/lab/src/mesh/door.ts'), apiSocket, apiAddress, `${KUBERNETES_PORT}`];
  return { ...onControlPlane(cluster, 'door', argv), socket: apiSocket };
}

export function apiserverSpec(cluster: ClusterPlan, logLevel: LogLevel): ProgramSpec {
  return onControlPlane(cluster, 'clustermesh-apiserver', [
    ...product('packages/clustermesh-apiserver/src/main.ts'),
    ...['--cluster-name', cluster.name, '--cluster-id', `${cluster.id}`],
    ...['--kubeconfig', cluster.kubeconfig, '--etcd-endpoints', cluster.etcdEndpoint],
    ...['--health-host', cluster.controlPlane.address, '--health-port', `${HEALTH_PORTS.apiserver}`],
    // The only one of this etcd: whoever is started in its place need not wait for the Lease to run out.
    ...['--instance', cluster.name, '--log-level', logLevel],
  ]);
}

export function agentSpec(cluster: ClusterPlan, node: NodePlan, options: AgentOptions): ProgramSpec {
  const { datapath = 'auto', services = 'all', logLevel = 'info', more = () => [] } = options;
  return onNode(node, 'node-agent', [
    ...product('packages/node-agent/src/main.ts'),
    ...['--cluster-name', cluster.name, '--cluster-id', `${cluster.id}`, '--node-name', node.name],
    ...['--kubeconfig', cluster.kubeconfig, '--clustermesh-config', cluster.clustermeshDirectory],
    ...['--datapath', datapath, '--services', services],
    ...['--cgroup-root', node.cgroup, '--bpf-dir', node.bpfDirectory],
    ...['--api', `unix://${node.agentSocket}`],
    ...['--health-host', '127.0.0.1', '--health-port', `${HEALTH_PORTS.agent}`],
    ...['--log-level', logLevel, ...more(node)],
  ]);
}

export function kubeletSpec(node: NodePlan): ProgramSpec {
  const argv = [...typescript('packages/small-kubernetes/src/kubelet/main.ts'), '--plan', nodePlanFile(node)];
  return onNode(node, 'kubelet', argv);
}

export const nodePlanFile = (node: NodePlan): string => `${node.directory}/plan.json`;

/** In the machine's own namespace: the one door by which the user's kubectl comes in. */
export function relaySpec(plan: MeshPlan): ProgramSpec {
  return {
    name: 'relay',
    argv: [
      ...typescript('packages/lab/src/mesh/relay.ts'),
      ...['--ports', relayPortsFile(plan)],
      ...plan.clusters.map(({ name, apiSocket }) => `${name}=${apiSocket}`),
    ],
    cgroup: `${plan.cgroup}/relay`,
    logFile: `${plan.directory}/relay.log`,
  };
}

export const relayPortsFile = (plan: MeshPlan): string => `${plan.directory}/ports.json`;

export const cliArgv = (node: NodePlan): readonly string[] => [
  ...typescript('packages/cli/src/main.ts'),
  ...['--address', `unix://${node.agentSocket}`],
];

/**
 * As the image starts it (deploy/image/bin): with a small space for what is new. What the programs read in bulk is garbage
 * at once, or stays; a larger one takes more memory while a large cluster is read, and a smaller one more time.
 */
const product = (path: string): readonly string[] => {
  const [node = process.execPath, ...rest] = typescript(path);
  return [node, '--max-semi-space-size=16', ...rest];
};

/** A program of this repository, under the Node that we run on ourselves. */
export function typescript(path: string): readonly string[] {
  return [process.execPath, join(REPOSITORY, path)];
}

function onControlPlane({ controlPlane, directory }: ClusterPlan, name: string, argv: readonly string[]): ProgramSpec {
  const { netns, cgroup } = controlPlane;
  return { name, argv, netns, cgroup: `${cgroup}/${name}`, logFile: `${directory}/${name}.log` };
}

/** Inside the node's own cgroup, as every process of a real node is: the agent's hooks apply to it. */
function onNode({ netns, cgroup, directory }: NodePlan, name: string, argv: readonly string[]): ProgramSpec {
  return { name, argv, netns, cgroup: `${cgroup}/system/${name}`, logFile: `${directory}/${name}.log` };
}
