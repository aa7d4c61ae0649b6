/**
 * Flags and environment → configuration, valid by construction. Pure; reports all problems at once. Each flag may also
 * be given in the environment: `--cluster-name` as `TOMBOLO_CLUSTER_NAME`. A flag wins over the environment.
 */
import type { ClusterIdentity, MaxClusters } from '@tombolo/shared/model/cluster.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { type Environment, type Flags, readCluster, readFlags } from '@tombolo/shared/process/flags.ts';
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
    /** Who else may use etcd, to read what is exported. Undefined: etcd's users are left as they are. */
    readonly remoteUser: string | undefined;
  };
  readonly healthHost: string;
  readonly healthPort: number;
  /** Whether namespaces without the annotation take part in the mesh. */
  readonly defaultGlobalNamespace: boolean;
  readonly leaseTtlSeconds: number;
  /** Our name among those that export into the same etcd; undefined: one that nobody else has. */
  readonly instance: string | undefined;
  /** Where the Lease is by which one of them is elected. */
  readonly leaseNamespace: string;
  /** Whether Services of type LoadBalancer get addresses from us, where there are pools. */
  readonly loadBalancerAddresses: boolean;
  /** Whose IPAddressPools are meant for that. */
  readonly metallbNamespace: string;
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
  --etcd-remote-user NAME              let certificates of this name read what is exported, and those of others nothing;
                                       ours must be of the name root. Default: etcd's users are left as they are
  --health-host HOST                   default: 127.0.0.1
  --health-port PORT                   default: 9880; 0 takes any free port
  --default-global-namespace BOOL      namespaces without clustermesh.cilium.io/global take part; default: true
  --kvstore-lease-ttl DURATION         how long entries outlive a dead apiserver, 25s to 24h; default: 15m
  --instance NAME                      which of several exporters to one etcd this is; one that bears the name of another
                                       replaces it at once. Default: a name that nobody else has
  --lease-namespace NAMESPACE          of the Lease by which one of them is elected; default: kube-system
  --load-balancer-addresses BOOL       give addresses from pools to Services of type LoadBalancer; default: true
  --metallb-namespace NAMESPACE        whose IPAddressPools are meant for that; default: metallb-system
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
  'etcd-remote-user': undefined,
  'health-host': '127.0.0.1',
  'health-port': '9880',
  'default-global-namespace': 'true',
  'kvstore-lease-ttl': '15m',
  instance: undefined,
  'lease-namespace': 'kube-system',
  'load-balancer-addresses': 'true',
  'metallb-namespace': 'metallb-system',
  'log-level': 'info',
} as const satisfies Record<string, string | undefined>;

type Flag = keyof typeof DEFAULTS;

/** `help` when it was asked for. The error lists every problem, one a line. */
export function parseApiserverConfig(args: readonly string[], env: Environment): Result<ApiserverConfig> | 'help' {
  const flags = readFlags<Flag>(args, env, DEFAULTS);
  if (flags === 'help') return flags;
  return flags.result({
    ...readCluster(flags),
    kubeconfig: flags.given('kubeconfig'),
    etcd: readEtcd(flags),
    healthHost: flags.text('health-host'),
    healthPort: flags.port('health-port'),
    defaultGlobalNamespace: flags.oneOf('default-global-namespace', ['true', 'false']) === 'true',
    leaseTtlSeconds: flags.take(leaseTtl(flags.text('kvstore-lease-ttl')), 900),
    instance: flags.given('instance'),
    leaseNamespace: flags.text('lease-namespace'),
    loadBalancerAddresses: flags.oneOf('load-balancer-addresses', ['true', 'false']) === 'true',
    metallbNamespace: flags.text('metallb-namespace'),
    logLevel: flags.oneOf('log-level', LOG_LEVELS),
  });
}

function readEtcd(flags: Flags<Flag>): ApiserverConfig['etcd'] {
  const endpoints = flags
    .required('etcd-endpoints')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  for (const each of endpoints) flags.take(endpoint(each), undefined);
  const [ca, cert, key] = [flags.given('etcd-ca'), flags.given('etcd-cert'), flags.given('etcd-key')];
  if ((cert === undefined) !== (key === undefined)) {
    flags.problem('--etcd-cert and --etcd-key must be given together: only one of them is');
  }
  const remoteUser = flags.given('etcd-remote-user');
  if (remoteUser !== undefined && cert === undefined) {
    flags.problem('--etcd-remote-user needs --etcd-cert and --etcd-key: the names of users are those of certificates');
  }
  if (remoteUser === 'root') flags.problem('--etcd-remote-user must not be root, which may do everything');
  return { endpoints, ca, cert, key, remoteUser };
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
