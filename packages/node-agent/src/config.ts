/**
 * Command line → configuration, valid by construction. Pure; all problems are reported at once, each naming the flag,
 * what was expected and what was given.
 */
import { isLocalAddress, parseApiAddress } from '@tombolo/proto/address.ts';
import { apiServerUrl } from '@tombolo/shared/kubernetes/api-address.ts';
import type { ServiceScope } from '@tombolo/shared/merge/context.ts';
import { type Cidr, parseNetwork } from '@tombolo/shared/model/ip.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { MOST_BACKENDS } from '@tombolo/shared/model/routes.ts';
import { type Environment, type Flags, readCluster, readFlags } from '@tombolo/shared/process/flags.ts';
import { LOG_LEVELS, type LogLevel } from '@tombolo/shared/process/logger.ts';
import { type MapSizes, SIZED_MAPS } from './datapath/ebpf/layout.ts';
import type { NodePortAddresses } from './datapath/node-facts.ts';
import type { PacketChoice, SocketClients } from './datapath/open.ts';

/** Valid by construction. */
export type AgentConfig = Readonly<ReturnType<typeof agentConfig>>;

/** What the program is asked to do. */
export type Command =
  | { readonly kind: 'run'; readonly config: AgentConfig }
  | ({ readonly kind: 'uninstall'; readonly logLevel: LogLevel } & LeftBehind);

/** What an agent leaves on its node. */
export interface LeftBehind {
  readonly bpfDirectory: string;
  /** Of FRR. */
  readonly bgpEngineDirectory: string;
  readonly bgpDrainMs: number;
}

export const USAGE = `Usage: node-agent --cluster-name NAME --cluster-id ID --node-name NODE [options]
       node-agent uninstall [--bpf-dir DIR] [--bgp-engine DIR] [--bgp-drain SECONDS] [--log-level LEVEL]

The second form takes away what an agent that has stopped left: from routers, in FRR's configuration and in the kernel.

  --cluster-name NAME            this cluster's name in the mesh
  --cluster-id ID                its number, 1-255 (or 1-511, see --max-connected-clusters)
  --node-name NODE               the Kubernetes Node that this agent runs on
  --kubeconfig FILE              default: the Pod's service account
  --kubernetes-api HOST[:PORT]   where the API server is, in place of what these say; port 6443 unless given. With
                                 --services all it must not be the Service kubernetes, which the agent has yet to serve
  --clustermesh-config DIR       one file for each other cluster; default: none
  --max-connected-clusters N     255 (default) or 511, the same in the whole mesh
  --datapath auto|ebpf|nftables  default: auto
  --services global|all          program global Services beside kube-proxy (default), or all in its place
  --nodeport-addresses all|primary|CIDR,…
                                 where NodePorts are answered: on every address of the node, on those that its Node
                                 object has, or on those within prefixes; default: all
  --default-global-namespace BOOL
                                 namespaces without clustermesh.cilium.io/global take part; default: true
  --remote-backends-per-frontend N
                                 of one other cluster, in use behind one frontend, 1-32767; default: 16384
  --remote-backends-per-cluster N
                                 of one other cluster, in use on this node, 1-262144; default: 65536
  --cgroup-root DIR              in a cgroup2 hierarchy, or above where one is mounted; default: where one is mounted
  --bpf-dir DIR                  bpffs directory for pinned maps and links; default: /sys/fs/bpf/tombolo
  --bpf-map-sizes NAME=ENTRIES,…
                                 of the maps services, slots, backends, affinity_ok, affinity and flows, where not the
                                 default; what was programmed is kept
  --socket-clients all|host      whose sockets eBPF balances; host: only those of the node itself, while the packets
                                 of pods are balanced by nftables (service meshes need it); default: all
  --packets auto|ebpf|nftables   what balances packets that come in at network interfaces: eBPF programs there, with
                                 nftables for what they leave, or nftables alone; default: auto
  --close-connections true|false
                                 whether sockets are closed that eBPF connected to a backend that is gone for good, so
                                 that their programs connect anew at once; default: true
  --netns-dir DIR                where the network namespaces of pods are, for that; default: /run/netns
  --metallb-namespace NAMESPACE  where MetalLB's pools and advertisements are read; default: metallb-system
  --speaker-key FILE             what all agents of this cluster know and nobody else, at least 16 bytes: without it
                                 nothing is announced by ARP and NDP
  --bgp-engine DIR               where the sockets of FRR are, by which BGP is spoken; default: /var/run/frr
  --bgp-drain SECONDS            0-600; before a node that is to have no traffic any more withdraws what it announces by
                                 BGP, it is the last resort of routers (RFC 8326) for so long; default: 10
  --speaker-port PORT            UDP, on the node's own address, for heartbeats between agents; default: 7950
  --state-file FILE              what the next agent should know; default: beside the API's socket, as agent.state
  --api ADDRESS                  unix:///path or host:port; default: unix:///run/tombolo/agent.sock
  --api-without-tls true|false   whether --api may be an address that is not loopback: everybody who reaches it reads
                                 all that the agent knows; default: false
  --health-host HOST             default: 127.0.0.1
  --health-port PORT             default: 9879
  --proxy-health-port PORT       with --services all, kube-proxy's /healthz for load balancers, on every
                                 address; 0 for none; default: 10256
  --proxy-status-port PORT       with --services all, kube-proxy's /proxyMode on 127.0.0.1; 0 for none;
                                 default: 10249
  --log-level debug|info|warn|error

Each flag may also be given in the environment: --cluster-name as TOMBOLO_CLUSTER_NAME.
`;

const DEFAULTS = {
  'cluster-name': undefined,
  'cluster-id': undefined,
  'node-name': undefined,
  kubeconfig: undefined,
  'kubernetes-api': undefined,
  'clustermesh-config': undefined,
  'max-connected-clusters': '255',
  datapath: 'auto',
  services: 'global',
  'nodeport-addresses': 'all',
  'default-global-namespace': 'true',
  'remote-backends-per-frontend': '16384',
  'remote-backends-per-cluster': '65536',
  'cgroup-root': undefined,
  'bpf-dir': '/sys/fs/bpf/tombolo',
  'bpf-map-sizes': '',
  'socket-clients': 'all',
  packets: 'auto',
  'close-connections': 'true',
  'netns-dir': '/run/netns',
  'metallb-namespace': 'metallb-system',
  'speaker-key': undefined,
  'speaker-port': '7950',
  'bgp-engine': '/var/run/frr',
  'bgp-drain': '10',
  'state-file': undefined,
  api: 'unix:///run/tombolo/agent.sock',
  'api-without-tls': 'false',
  'health-host': '127.0.0.1',
  'health-port': '9879',
  'proxy-health-port': '10256',
  'proxy-status-port': '10249',
  'log-level': 'info',
} as const satisfies Record<string, string | undefined>;

const UNINSTALL_DEFAULTS = {
  ...{ 'bpf-dir': DEFAULTS['bpf-dir'], 'log-level': DEFAULTS['log-level'] },
  ...{ 'bgp-engine': DEFAULTS['bgp-engine'], 'bgp-drain': DEFAULTS['bgp-drain'] },
};

/** `help` when it was asked for. The error lists every problem, one a line. */
export function parseCommand(args: readonly string[], env: Environment): Result<Command> | 'help' {
  if (args[0] === 'uninstall') {
    const flags = readFlags<keyof typeof UNINSTALL_DEFAULTS>(args.slice(1), env, UNINSTALL_DEFAULTS);
    if (flags === 'help') return flags;
    return flags.result({
      kind: 'uninstall',
      bpfDirectory: flags.text('bpf-dir'),
      bgpEngineDirectory: flags.text('bgp-engine'),
      bgpDrainMs: 1_000 * flags.integer('bgp-drain', 0, 600),
      logLevel: flags.oneOf('log-level', LOG_LEVELS),
    });
  }
  const flags = readFlags<keyof typeof DEFAULTS>(args, env, DEFAULTS);
  return flags === 'help' ? flags : flags.result({ kind: 'run', config: agentConfig(flags) });
}

/** Every setting; what is undefined has no default. */
const agentConfig = (flags: Flags<keyof typeof DEFAULTS>) => ({
  ...readCluster(flags),
  nodeName: flags.required('node-name'),
  /** Undefined: the Pod's own service account. */
  kubeconfig: flags.given('kubeconfig'),
  /** URL of the API server; undefined: as the kubeconfig or the service account says. */
  apiServer: apiServer(flags),
  /** Undefined: no other clusters. */
  clustermeshDirectory: flags.given('clustermesh-config'),
  datapath: flags.oneOf('datapath', ['auto', 'ebpf', 'nftables']),
  scope: flags.oneOf<ServiceScope>('services', ['global', 'all']),
  nodePortAddresses: flags.take(nodePortAddresses(flags.text('nodeport-addresses')), 'all'),
  /** Whether namespaces that do not say so take part in the mesh. */
  defaultGlobalNamespace: flags.oneOf('default-global-namespace', ['true', 'false']) === 'true',
  /** Backends of one other cluster that may be in use behind one frontend, and over all. */
  remotePerFrontend: flags.integer('remote-backends-per-frontend', 1, MOST_BACKENDS),
  remotePerCluster: flags.integer('remote-backends-per-cluster', 1, 262_144),
  /** Undefined: the root of the cgroup2 hierarchy, wherever it is mounted. */
  cgroupRoot: flags.given('cgroup-root'),
  bpfDirectory: flags.text('bpf-dir'),
  mapSizes: flags.take(mapSizes(flags.text('bpf-map-sizes')), {}),
  socketClients: flags.oneOf<SocketClients>('socket-clients', ['all', 'host']),
  packets: flags.oneOf<PacketChoice>('packets', ['auto', 'ebpf', 'nftables']),
  closeConnections: flags.oneOf('close-connections', ['true', 'false']) === 'true',
  netnsDirectory: flags.text('netns-dir'),
  metallbNamespace: flags.text('metallb-namespace'),
  /** Undefined: there is none. */
  speakerKeyFile: flags.given('speaker-key'),
  speakerPort: flags.port('speaker-port'),
  bgpEngineDirectory: flags.text('bgp-engine'),
  bgpDrainMs: 1_000 * flags.integer('bgp-drain', 0, 600),
  /** What the next agent should know beside what the kernel keeps. */
  stateFile: flags.given('state-file') ?? stateFileBeside(flags.text('api')),
  apiAddress: flags.take(checkedAddress(flags.text('api'), flags.oneOf('api-without-tls', ['true', 'false'])), ''),
  healthHost: flags.text('health-host'),
  healthPort: flags.port('health-port'),
  /** With scope `all`: where kube-proxy's `/healthz` and `/proxyMode` are asked for; 0: nowhere. */
  proxyHealthPort: flags.port('proxy-health-port'),
  proxyStatusPort: flags.port('proxy-status-port'),
  logLevel: flags.oneOf('log-level', LOG_LEVELS),
});

function apiServer(flags: Flags<keyof typeof DEFAULTS>): string | undefined {
  const given = flags.given('kubernetes-api');
  if (given === undefined) return undefined;
  const url = apiServerUrl(given);
  return flags.take(url.ok ? url : fail(`--kubernetes-api: ${url.error}`), undefined);
}

function nodePortAddresses(text: string): Result<NodePortAddresses> {
  if (text === 'all' || text === 'primary') return ok(text);
  const prefixes: Cidr[] = [];
  for (const part of text.split(',')) {
    const prefix = parseNetwork(part);
    if (!prefix.ok) {
      return fail(
        `--nodeport-addresses: expected all, primary or prefixes: current value is ${JSON.stringify(part)}: ${prefix.error}`,
      );
    }
    prefixes.push(prefix.value);
  }
  return ok(prefixes);
}

/** As many as a hash map takes on every kernel. */
const MOST_ENTRIES = 2 ** 24;

function mapSizes(text: string): Result<Partial<MapSizes>> {
  const sizes: Partial<Record<keyof MapSizes, number>> = {};
  for (const part of text.split(',').filter((each) => each !== '')) {
    const [name, entries] = part.split('=');
    const map = SIZED_MAPS.find((each) => each === name);
    const count = /^[1-9]\d*$/.test(entries ?? '') ? Number(entries) : 0;
    if (map === undefined || count < 1 || count > MOST_ENTRIES) {
      return fail(
        `--bpf-map-sizes: expected ${SIZED_MAPS.join(', ')}, each with = and 1-${MOST_ENTRIES}: current value is ${JSON.stringify(part)}`,
      );
    }
    sizes[map] = count;
  }
  return ok(sizes);
}

/** `/run/tombolo/agent.sock` → `/run/tombolo/agent.state`. */
function stateFileBeside(api: string): string {
  const address = parseApiAddress(api);
  const socket = address.ok && address.value.kind === 'unix' ? address.value.path : '/run/tombolo/agent.sock';
  return `${socket.replace(/\.sock$/, '')}.state`;
}

function checkedAddress(text: string, withoutTls: 'true' | 'false'): Result<string> {
  const parsed = parseApiAddress(text);
  if (!parsed.ok) return fail(`--api: ${parsed.error}`);
  if (isLocalAddress(parsed.value) || withoutTls === 'true') return ok(text);
  return fail(
    `--api: expected a unix socket or a loopback address, or --api-without-tls true as well, since whoever reaches it can read it: current value is ${JSON.stringify(text)}`,
  );
}
