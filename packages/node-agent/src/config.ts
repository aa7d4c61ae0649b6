/**
 * Command line → configuration, valid by construction. Pure; all problems are reported at once, each naming the flag,
 * what was expected and what was given.
 */
import { parseArgs } from 'node:util';
import type { ServiceScope } from '@tombolo/shared/merge/routes.ts';
import { type ClusterIdentity, type MaxClusters, parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { LOG_LEVELS, type LogLevel } from '@tombolo/shared/process/logger.ts';

export type DatapathChoice = 'auto' | 'ebpf' | 'nftables';

export interface AgentConfig {
  readonly cluster: ClusterIdentity;
  readonly maxClusters: MaxClusters;
  readonly nodeName: string;
  /** Undefined: the Pod's own service account. */
  readonly kubeconfig: string | undefined;
  /** Undefined: no other clusters. */
  readonly clustermeshDirectory: string | undefined;
  readonly datapath: DatapathChoice;
  readonly scope: ServiceScope;
  /** Undefined: the root of the cgroup2 hierarchy, wherever it is mounted. */
  readonly cgroupRoot: string | undefined;
  readonly bpfDirectory: string;
  readonly apiAddress: string;
  readonly healthHost: string;
  readonly healthPort: number;
  readonly logLevel: LogLevel;
}

export const USAGE = `Usage: node-agent --cluster-name NAME --cluster-id ID --node-name NODE [options]

  --cluster-name NAME            this cluster's name in the mesh
  --cluster-id ID                its number, 1-255 (or 1-511, see --max-connected-clusters)
  --node-name NODE               the Kubernetes Node that this agent runs on
  --kubeconfig FILE              default: the Pod's service account
  --clustermesh-config DIR       one file for each other cluster; default: none
  --max-connected-clusters N     255 (default) or 511, the same in the whole mesh
  --datapath auto|ebpf|nftables  default: auto
  --services global|all          program global Services beside kube-proxy (default), or all in its place
  --cgroup-root DIR              default: where cgroup2 is mounted
  --bpf-dir DIR                  bpffs directory for pinned maps and links; default: /sys/fs/bpf/tombolo
  --api ADDRESS                  unix:///path or host:port; default: unix:///run/tombolo/agent.sock
  --health-host HOST             default: 127.0.0.1
  --health-port PORT             default: 9879
  --log-level debug|info|warn|error
`;

const OPTIONS = {
  'cluster-name': { type: 'string' },
  'cluster-id': { type: 'string' },
  'node-name': { type: 'string' },
  kubeconfig: { type: 'string' },
  'clustermesh-config': { type: 'string' },
  'max-connected-clusters': { type: 'string', default: '255' },
  datapath: { type: 'string', default: 'auto' },
  services: { type: 'string', default: 'global' },
  'cgroup-root': { type: 'string' },
  'bpf-dir': { type: 'string', default: '/sys/fs/bpf/tombolo' },
  api: { type: 'string', default: 'unix:///run/tombolo/agent.sock' },
  'health-host': { type: 'string', default: '127.0.0.1' },
  'health-port': { type: 'string', default: '9879' },
  'log-level': { type: 'string', default: 'info' },
} as const;

/** The error lists every problem, one a line. */
export function parseAgentConfig(args: readonly string[]): Result<AgentConfig> {
  const flags = parseFlags(args);
  if (!flags.ok) return flags;
  const given = flags.value;
  const problems: string[] = [];
  const take = <T>(parsed: Result<T>, fallback: T): T => {
    if (parsed.ok) return parsed.value;
    problems.push(parsed.error);
    return fallback;
  };
  const maxClusters = Number(
    take(oneOf('max-connected-clusters', ['255', '511'], given['max-connected-clusters']), '255'),
  ) as MaxClusters;
  const identity = parseClusterIdentity(
    given['cluster-name'] ?? '',
    Number(given['cluster-id'] ?? Number.NaN),
    maxClusters,
  );
  const config: AgentConfig = {
    cluster: take(identity, { name: '' as ClusterIdentity['name'], id: 0 }),
    maxClusters,
    nodeName: take(required('node-name', given['node-name']), ''),
    kubeconfig: given.kubeconfig,
    clustermeshDirectory: given['clustermesh-config'],
    datapath: take(oneOf('datapath', ['auto', 'ebpf', 'nftables'], given.datapath), 'auto'),
    scope: take(oneOf('services', ['global', 'all'], given.services), 'global'),
    cgroupRoot: given['cgroup-root'],
    bpfDirectory: given['bpf-dir'],
    apiAddress: given.api,
    healthHost: given['health-host'],
    healthPort: take(port('health-port', given['health-port']), 0),
    logLevel: take(oneOf('log-level', LOG_LEVELS, given['log-level']), 'info'),
  };
  return problems.length > 0 ? fail(problems.join('\n')) : ok(config);
}

function parseFlags(args: readonly string[]) {
  try {
    return ok(parseArgs({ args: [...args], options: OPTIONS }).values);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

const required = (flag: string, value: string | undefined): Result<string> =>
  value ? ok(value) : fail(`--${flag} is required`);

function oneOf<T extends string>(flag: string, choices: readonly T[], value: string): Result<T> {
  const found = choices.find((choice) => choice === value);
  return found ? ok(found) : fail(`--${flag} must be ${choices.join(', ')}: current value is ${JSON.stringify(value)}`);
}

function port(flag: string, value: string): Result<number> {
  const number = Number(value);
  return /^\d+$/.test(value) && number <= 65535
    ? ok(number)
    : fail(`--${flag} must be 0-65535: current value is ${JSON.stringify(value)}`);
}
