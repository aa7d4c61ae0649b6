/**
 * Kubernetes Services as the model has them. Annotations as Cilium spells and reads them: the current key wins when it
 * is present, else its old alias; a Service that is not global is neither shared nor has an affinity.
 */

import { type ClusterName, parseClusterName } from '../model/cluster.ts';
import { parseNetwork } from '../model/ip.ts';
import {
  type Affinity,
  type ClusterWeights,
  type LocalService,
  type ServicePort,
  serviceKey,
  type WhenRemoteOnly,
} from '../model/service.ts';
import {
  addressesAmong,
  converter,
  type Fields,
  isPort,
  malformed,
  originOf,
  portOf,
  severalOf,
  type Texts,
  type Warn,
} from './fields.ts';

const SHARED_IP = ['metallb.io/allow-shared-ip', 'metallb.universe.tf/allow-shared-ip'];
const DEFAULT_AFFINITY_SECONDS = 10_800;

export const convertService = converter<LocalService>((object, warn, at) => {
  const metadata = object.object('metadata');
  const labels = metadata.texts('labels');
  // Somebody else's proxy serves it.
  if ('service.kubernetes.io/service-proxy-name' in labels) return undefined;
  const spec = object.object('spec');
  const external = spec.text('type') === 'ExternalName';
  const headless = 'service.kubernetes.io/headless' in labels;
  const loadBalancerClass = spec.text('loadBalancerClass');
  return {
    key: serviceKey(metadata.text('namespace'), metadata.text('name')),
    uid: metadata.text('uid'),
    createdAt: metadata.text('creationTimestamp'),
    ...sharing(metadata.texts('annotations'), external, warn),
    clusterIps: external || headless ? [] : clusterIps(spec, warn),
    externalIps: external ? [] : addressesAmong(spec.list('externalIPs'), 'spec.externalIPs', warn),
    loadBalancerIps: external ? [] : loadBalancerIps(object, warn),
    ...(loadBalancerClass !== '' && { loadBalancerClass }),
    ...(SHARED_IP.some((name) => (metadata.texts('annotations')[name] ?? '') !== '') && { isShared: true }),
    sourceRanges: sourceRanges(spec),
    ports: external ? [] : ports(spec, warn),
    sessionAffinitySeconds: sessionAffinity(spec),
    internalTrafficPolicy: policy(spec, 'internalTrafficPolicy'),
    externalTrafficPolicy: policy(spec, 'externalTrafficPolicy'),
    staysClose: /^Prefer(Close|SameZone|SameNode)$/.test(spec.text('trafficDistribution')),
    healthCheckNodePort: healthCheckNodePort(spec, warn),
    labels,
    selector: spec.texts('selector'),
    origin: originOf(metadata, at),
  };
});

function sharing(
  annotations: Texts,
  external: boolean,
  warn: Warn,
): Pick<LocalService, 'global' | 'shared' | 'affinity' | 'clusterWeights' | 'anycast' | 'whenRemoteOnly'> {
  const read = (name: 'global' | 'shared', fallback: boolean): boolean => {
    const value = annotations[`service.cilium.io/${name}`] ?? annotations[`io.cilium/${name}-service`];
    if (value !== undefined && !/^(true|false|)$/i.test(value)) {
      warn(`service.cilium.io/${name} read as false: expected true or false: current value is "${value}"`);
    }
    return value === undefined ? fallback : value.toLowerCase() === 'true';
  };
  const global = read('global', false);
  if (global && external) warn('service.cilium.io/global has no effect on a Service of type ExternalName');
  for (const name of global ? [] : [ANYCAST, WHEN_REMOTE_ONLY])
    if (annotations[name] !== undefined) warn(`${name} has no effect on a Service that is not global`);
  if (!global || external) return { global: false, shared: false, affinity: 'none' };
  const clusterWeights = clusterWeightsOf(annotations, warn);
  const weighed = clusterWeights && { clusterWeights };
  return {
    global,
    shared: read('shared', true),
    affinity: affinityOf(annotations, warn),
    ...weighed,
    ...announcing(annotations, warn),
  };
}

const ANYCAST = 'service.tombolo.io/anycast';
const WHEN_REMOTE_ONLY = 'service.tombolo.io/when-remote-only';
const CHOICES: readonly string[] = ['stay', 'lower-preference', 'withdraw'] satisfies readonly WhenRemoteOnly[];

/** Each cluster of an anycast Service goes by its own health, unless told otherwise. */
function announcing(annotations: Texts, warn: Warn): Pick<LocalService, 'anycast' | 'whenRemoteOnly'> {
  const text = annotations[ANYCAST] ?? 'false';
  const anycast = text.toLowerCase() === 'true';
  if (!/^(true|false|)$/i.test(text))
    warn(`${ANYCAST} read as false: expected true or false: current value is ${JSON.stringify(text)}`);
  const fallback: WhenRemoteOnly = anycast ? 'withdraw' : 'stay';
  const choice = annotations[WHEN_REMOTE_ONLY] ?? fallback;
  if (!CHOICES.includes(choice))
    warn(
      `${WHEN_REMOTE_ONLY} read as ${fallback}: expected ${CHOICES.join(', ')}: current value is ${JSON.stringify(choice)}`,
    );
  const whenRemoteOnly = CHOICES.includes(choice) ? (choice as WhenRemoteOnly) : fallback;
  return { ...(anycast && { anycast }), ...(whenRemoteOnly !== 'stay' && { whenRemoteOnly }) };
}

const CLUSTER_WEIGHTS = 'service.tombolo.io/cluster-weights';
const MOST_WEIGHT = 1_000_000;

/** `east=90,west=10`. What is wrong in part is not used at all: the rest would get what nobody asked for. */
function clusterWeightsOf(annotations: Texts, warn: Warn): ClusterWeights | undefined {
  const text = annotations[CLUSTER_WEIGHTS];
  if (text === undefined) return undefined;
  const parts = text.split(',').map((part) => /^\s*([^=\s]+)\s*=\s*(\d{1,7})\s*$/.exec(part));
  const weights = new Map<ClusterName, number>();
  for (const [, name = '', digits] of parts.filter((part) => part !== null)) {
    const cluster = parseClusterName(name);
    const weight = Number(digits);
    if (cluster.ok && weight <= MOST_WEIGHT) weights.set(cluster.value, weight);
  }
  const isWhole = weights.size === parts.length;
  if (isWhole && [...weights.values()].some((weight) => weight > 0)) return weights;
  warn(
    `${CLUSTER_WEIGHTS} not used: expected each cluster once, as in east=90,west=10, with 0-${MOST_WEIGHT} and not all 0: current value is ${JSON.stringify(text)}`,
  );
  return undefined;
}

function affinityOf(annotations: Texts, warn: Warn): Affinity {
  const value = annotations['service.cilium.io/affinity'] ?? annotations['io.cilium/service-affinity'] ?? '';
  const lower = value.toLowerCase();
  if (lower === 'local' || lower === 'remote' || lower === 'none') return lower;
  if (value !== '') {
    warn(`service.cilium.io/affinity read as none: expected local, remote or none: current value is "${value}"`);
  }
  return 'none';
}

function clusterIps(spec: Fields, warn: Warn): LocalService['clusterIps'] {
  // Empty: not allocated yet.
  const allocated = severalOf(spec.list('clusterIPs'), spec.text('clusterIP'));
  return allocated.includes('None') ? [] : addressesAmong(allocated, 'spec.clusterIPs', warn);
}

function loadBalancerIps(object: Fields, warn: Warn): LocalService['loadBalancerIps'] {
  const ingress = object.object('status').object('loadBalancer').objects('ingress');
  // Some have a hostname only. Mode Proxy says that traffic must pass through the load balancer itself.
  const served = ingress.filter(({ json }) => (json['ip'] ?? '') !== '' && json['ipMode'] !== 'Proxy');
  const ips = served.map(({ json }) => json['ip']);
  return addressesAmong(ips, 'status.loadBalancer.ingress', warn);
}

/** Host bits count for nothing, as kube-proxy has it. */
function sourceRanges(spec: Fields): LocalService['sourceRanges'] {
  if (spec.json['type'] !== 'LoadBalancer') return [];
  return spec.list('loadBalancerSourceRanges').map((each, i) => {
    const parsed = parseNetwork(typeof each === 'string' ? each.trim() : '');
    if (parsed.ok) return parsed.value;
    // Left out, it might leave none, and so open what was closed.
    throw malformed(`spec.loadBalancerSourceRanges[${i}]`, 'a prefix such as 10.1.0.0/16', each);
  });
}

function ports(spec: Fields, warn: Warn): readonly ServicePort[] {
  return spec.objects('ports').flatMap((each) => {
    const port = portOf(each, warn);
    const { nodePort } = each.json;
    return port ? [{ ...port, nodePort: isPort(nodePort) ? nodePort : 0 }] : [];
  });
}

function sessionAffinity(spec: Fields): number {
  if (spec.json['sessionAffinity'] !== 'ClientIP') return 0;
  const seconds = spec.object('sessionAffinityConfig').object('clientIP').json['timeoutSeconds'];
  return typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0 ? seconds : DEFAULT_AFFINITY_SECONDS;
}

/** The field may be set where it means nothing: an API server keeps what it does not need to check. */
function healthCheckNodePort(spec: Fields, warn: Warn): number {
  if (spec.json['type'] !== 'LoadBalancer' || policy(spec, 'externalTrafficPolicy') !== 'Local') return 0;
  const port = spec.json['healthCheckNodePort'] ?? 0;
  if (port === 0 || isPort(port)) return port;
  warn(`spec.healthCheckNodePort left out: port must be 1-65535: current value is ${JSON.stringify(port)}`);
  return 0;
}

const policy = (spec: Fields, name: string) => (spec.json[name] === 'Local' ? 'Local' : 'Cluster');
