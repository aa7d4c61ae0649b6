/**
 * Flags and environment → configuration, valid by construction. Pure; reports all problems at once. Each flag may also
 * be given in the environment: `--cluster-name` as `TOMBOLO_CLUSTER_NAME`. A flag wins over the environment.
 */
import { parseArgs } from 'node:util';
import { type ClusterIdentity, type MaxClusters, parseClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { LOG_LEVELS, type LogLevel } from '@tombolo/shared/process/logger.ts';
import { parseDuration } from './duration.ts';

export interface ApiserverConfig {
  readonly cluster: ClusterIdentity;
  readonly maxClusters: MaxClusters;
  /** Undefined: the Pod's own service account. */
  readonly kubeconfig: string | undefined;
  readonly etcd: {
    readonly endpoints: readonly string[];
    /** Paths; all absent for plain text. */
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
  readonly healthHost: string;
  readonly healthPort: number;
  /** Whether namespaces without the annotation take part in the mesh. */
  readonly defaultGlobalNamespace: boolean;
  readonly leaseTtlSeconds: number;
  readonly logLevel: LogLevel;
}

export const USAGE = `Usage: clustermesh-apiserver --cluster-name NAME --cluster-id ID --etcd-endpoints URL[,URL] [options]

  --cluster-name NAME                  this cluster's name in the mesh
  --cluster-id ID                      its number, 1-255 (or 1-511, see --max-connected-clusters)
  --max-connected-clusters N           255 (default) or 511, the same in the whole mesh
  --kubeconfig FILE                    default: the Pod's service account
  --etcd-endpoints URL[,URL]           this cluster's own etcd, for example http://127.0.0.1:2379
  --etcd-ca FILE                       CA certificate of https endpoints; default: the system's
  --etcd-cert FILE, --etcd-key FILE    client certificate and key
  --health-host HOST                   default: 127.0.0.1
  --health-port PORT                   default: 9880; 0 takes any free port
  --default-global-namespace BOOL      namespaces without clustermesh.cilium.io/global take part; default: true
  --kvstore-lease-ttl DURATION         how long entries outlive a dead apiserver, 25s to 24h; default: 15m
  --log-level debug|info|warn|error    default: info

Each flag may also be given in the environment: --cluster-name as TOMBOLO_CLUSTER_NAME.
`;

const DEFAULTS = {
  'cluster-name': undefined,
  'cluster-id': undefined,
  'max-connected-clusters': '255',
  kubeconfig: undefined,
  'etcd-endpoints': undefined,
  'etcd-ca': undefined,
  'etcd-cert': undefined,
  'etcd-key': undefined,
  'health-host': '127.0.0.1',
  'health-port': '9880',
  'default-global-namespace': 'true',
  'kvstore-lease-ttl': '15m',
  'log-level': 'info',
} as const satisfies Record<string, string | undefined>;

type Flag = keyof typeof DEFAULTS;
type Environment = Readonly<Record<string, string | undefined>>;

/** `help` when it was asked for. The error lists every problem, one a line. */
export function parseApiserverConfig(args: readonly string[], env: Environment): Result<ApiserverConfig> | 'help' {
  const { values, tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(Object.keys(DEFAULTS).map((flag) => [flag, { type: 'string' as const }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if ('help' in values || 'h' in values) return 'help';
  const problems = tokens.flatMap((token) => {
    if (token.kind === 'positional') return [`unexpected argument: ${token.value}`];
    if (token.kind !== 'option') return [];
    if (!(token.name in DEFAULTS)) return [`unknown flag: ${token.rawName}`];
    return token.value === undefined && token.name !== 'default-global-namespace'
      ? [`${token.rawName} needs a value`]
      : [];
  });
  const given = (flag: Flag): string | undefined => {
    const value = values[flag];
    if (value === true) return 'true';
    return (value as string | undefined) ?? (env[environmentName(flag)] || DEFAULTS[flag]);
  };
  const config = readConfig(given, problems);
  return problems.length > 0 ? fail(problems.join('\n')) : ok(config);
}

const environmentName = (flag: Flag): string => `TOMBOLO_${flag.toUpperCase().replaceAll('-', '_')}`;

function readConfig(given: (flag: Flag) => string | undefined, problems: string[]): ApiserverConfig {
  const take = <T>(parsed: Result<T>, fallback: T): T => {
    if (parsed.ok) return parsed.value;
    problems.push(parsed.error);
    return fallback;
  };
  const text = (flag: Flag): string => given(flag) ?? '';
  const max = take(oneOf('max-connected-clusters', ['255', '511'], text('max-connected-clusters')), '255');
  const maxClusters: MaxClusters = max === '511' ? 511 : 255;
  const endpoints = text('etcd-endpoints')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  if (endpoints.length === 0) problems.push('--etcd-endpoints is required');
  for (const each of endpoints) take(endpoint(each), undefined);
  if ((given('etcd-cert') === undefined) !== (given('etcd-key') === undefined)) {
    problems.push('--etcd-cert and --etcd-key must be given together: only one of them is');
  }
  return {
    cluster: take(cluster(given('cluster-name'), given('cluster-id'), maxClusters), NO_CLUSTER),
    maxClusters,
    kubeconfig: given('kubeconfig'),
    etcd: { endpoints, ca: given('etcd-ca'), cert: given('etcd-cert'), key: given('etcd-key') },
    healthHost: text('health-host'),
    healthPort: take(port('health-port', text('health-port')), 0),
    defaultGlobalNamespace:
      take(oneOf('default-global-namespace', ['true', 'false'], text('default-global-namespace')), 'true') === 'true',
    leaseTtlSeconds: take(leaseTtl(text('kvstore-lease-ttl')), 900),
    logLevel: take(oneOf('log-level', LOG_LEVELS, text('log-level')), 'info'),
  };
}

const NO_CLUSTER: ClusterIdentity = { name: '' as ClusterIdentity['name'], id: 0 };

function cluster(name: string | undefined, id: string | undefined, maxClusters: MaxClusters): Result<ClusterIdentity> {
  const missing = [
    ...(name === undefined ? ['--cluster-name is required'] : []),
    ...(id === undefined ? ['--cluster-id is required'] : []),
  ];
  if (name === undefined || id === undefined) return fail(missing.join('\n'));
  return parseClusterIdentity(name, /^\d+$/.test(id) ? Number(id) : id, maxClusters);
}

function endpoint(value: string): Result<undefined> {
  const url = URL.parse(value);
  return url && /^https?:$/.test(url.protocol) && url.hostname !== '' && url.username === ''
    ? ok(undefined)
    : fail('--etcd-endpoints must be URLs such as https://host:2379, without a user: one is not');
}

function leaseTtl(value: string): Result<number> {
  const seconds = parseDuration(value);
  return seconds !== undefined && seconds >= 25 && seconds <= 86_400
    ? ok(seconds)
    : fail(`--kvstore-lease-ttl must be 25s-24h, for example 15m: current value is ${JSON.stringify(value)}`);
}

function oneOf<T extends string>(flag: Flag, choices: readonly T[], value: string): Result<T> {
  const found = choices.find((choice) => choice === value.toLowerCase());
  return found
    ? ok(found)
    : fail(`--${flag} must be ${choices.join(' or ')}: current value is ${JSON.stringify(value)}`);
}

function port(flag: Flag, value: string): Result<number> {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65_535
    ? ok(Number(value))
    : fail(`--${flag} must be 0-65535: current value is ${JSON.stringify(value)}`);
}
