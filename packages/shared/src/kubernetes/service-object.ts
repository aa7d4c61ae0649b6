/**
 * Kubernetes Services as the model has them. Annotations as Cilium spells and reads them: the current key wins when it
 * is present, else its old alias; a Service that is not global is neither shared nor has an affinity.
 */
import { parseNetwork } from '../model/ip.ts';
import { type Affinity, type LocalService, type ServicePort, serviceKey } from '../model/service.ts';
import type { Conversion } from './conversion.ts';
import {
  addressesAmong,
  converting,
  type Fields,
  fieldsOf,
  isPort,
  listOf,
  malformed,
  recordsOf,
  type Texts,
  textOf,
  textsOf,
} from './fields.ts';
import { protocolOf } from './protocol.ts';

type Warn = (sentence: string) => void;

const DEFAULT_AFFINITY_SECONDS = 10_800;

export function convertService(object: Fields, at: number): Conversion<LocalService> {
  return converting((warn) => {
    const metadata = fieldsOf(object, 'metadata');
    const labels = textsOf(metadata, 'labels', 'metadata.labels');
    // Somebody else's proxy serves it.
    if ('service.kubernetes.io/service-proxy-name' in labels) return undefined;
    const spec = fieldsOf(object, 'spec');
    const external = textOf(spec, 'type', 'spec.type') === 'ExternalName';
    return {
      key: serviceKey(textOf(metadata, 'namespace', 'metadata.namespace'), textOf(metadata, 'name', 'metadata.name')),
      uid: textOf(metadata, 'uid', 'metadata.uid'),
      createdAt: textOf(metadata, 'creationTimestamp', 'metadata.creationTimestamp'),
      ...sharing(textsOf(metadata, 'annotations', 'metadata.annotations'), external, warn),
      clusterIps: external || 'service.kubernetes.io/headless' in labels ? [] : clusterIps(spec, warn),
      externalIps: external ? [] : addressesAmong(listOf(spec, 'externalIPs'), 'spec.externalIPs', warn),
      loadBalancerIps: external ? [] : loadBalancerIps(object, warn),
      sourceRanges: spec['type'] === 'LoadBalancer' ? sourceRanges(spec) : [],
      ports: external ? [] : ports(spec, warn),
      sessionAffinitySeconds: sessionAffinity(spec),
      internalTrafficPolicy: policy(spec, 'internalTrafficPolicy'),
      externalTrafficPolicy: policy(spec, 'externalTrafficPolicy'),
      healthCheckNodePort: healthCheckNodePort(spec, warn),
      labels,
      selector: textsOf(spec, 'selector', 'spec.selector'),
      origin: { source: 'kubernetes', revision: textOf(metadata, 'resourceVersion', 'metadata.resourceVersion'), at },
    };
  });
}

function sharing(
  annotations: Texts,
  external: boolean,
  warn: Warn,
): { readonly global: boolean; readonly shared: boolean; readonly affinity: Affinity } {
  const read = (name: string, fallback: boolean, value: string | undefined) => {
    if (value !== undefined && !isTrueOrFalse(value)) {
      warn(`service.cilium.io/${name} read as false: expected true or false: current value is "${value}"`);
    }
    return value === undefined ? fallback : isTrue(value);
  };
  const global = read('global', false, annotated(annotations, 'service.cilium.io/global', 'io.cilium/global-service'));
  if (global && external) warn('service.cilium.io/global has no effect on a Service of type ExternalName');
  if (!global || external) return { global: false, shared: false, affinity: 'none' };
  const shared = read('shared', true, annotated(annotations, 'service.cilium.io/shared', 'io.cilium/shared-service'));
  const affinity = annotated(annotations, 'service.cilium.io/affinity', 'io.cilium/service-affinity');
  return { global, shared, affinity: affinityOf(affinity, warn) };
}

const annotated = (annotations: Texts, current: string, alias: string): string | undefined =>
  annotations[current] ?? annotations[alias];

const isTrue = (value: string): boolean => value.toLowerCase() === 'true';

const isTrueOrFalse = (value: string): boolean => /^(true|false|)$/i.test(value);

function affinityOf(value: string | undefined, warn: Warn): Affinity {
  const lower = value?.toLowerCase() ?? '';
  if (lower === 'local' || lower === 'remote' || lower === 'none') return lower;
  if (lower !== '') {
    warn(`service.cilium.io/affinity read as none: expected local, remote or none: current value is "${value}"`);
  }
  return 'none';
}

function clusterIps(spec: Fields, warn: Warn): LocalService['clusterIps'] {
  const several = listOf(spec, 'clusterIPs', 'spec.clusterIPs');
  const all = several.length > 0 ? several : [textOf(spec, 'clusterIP', 'spec.clusterIP')];
  // Empty: not allocated yet.
  const allocated = all.filter((value) => value !== '');
  return allocated.includes('None') ? [] : addressesAmong(allocated, 'spec.clusterIPs', warn);
}

function loadBalancerIps(object: Fields, warn: Warn): LocalService['loadBalancerIps'] {
  const status = fieldsOf(fieldsOf(object, 'status'), 'loadBalancer', 'status.loadBalancer');
  const ingress = recordsOf(status, 'ingress', 'status.loadBalancer.ingress');
  // Some have a hostname only. Mode Proxy says that traffic must pass through the load balancer itself.
  const served = ingress.filter((each) => (each['ip'] ?? '') !== '' && each['ipMode'] !== 'Proxy');
  return addressesAmong(
    served.map((each) => each['ip']),
    'status.loadBalancer.ingress',
    warn,
  );
}

/** Host bits count for nothing, as kube-proxy has it. */
function sourceRanges(spec: Fields): LocalService['sourceRanges'] {
  const path = 'spec.loadBalancerSourceRanges';
  return listOf(spec, 'loadBalancerSourceRanges', path).map((each, i) => {
    const parsed = parseNetwork(typeof each === 'string' ? each.trim() : '');
    // Left out, it might leave none, and so open what was closed.
    if (!parsed.ok) throw malformed(`${path}[${i}]`, 'a prefix such as 10.1.0.0/16', each);
    return parsed.value;
  });
}

function ports(spec: Fields, warn: Warn): readonly ServicePort[] {
  return recordsOf(spec, 'ports', 'spec.ports').flatMap((each, i) => {
    const path = `spec.ports[${i}]`;
    const protocol = protocolOf(each, path, warn);
    const port = each['port'];
    if (!isPort(port)) warn(`${path} left out: port must be 1-65535: current value is ${JSON.stringify(port)}`);
    if (protocol === undefined || !isPort(port)) return [];
    const nodePort = isPort(each['nodePort']) ? each['nodePort'] : 0;
    return [{ name: textOf(each, 'name', `${path}.name`), protocol, port, nodePort }];
  });
}

function sessionAffinity(spec: Fields): number {
  if (spec['sessionAffinity'] !== 'ClientIP') return 0;
  const config = fieldsOf(spec, 'sessionAffinityConfig', 'spec.sessionAffinityConfig');
  const seconds = fieldsOf(config, 'clientIP', 'spec.sessionAffinityConfig.clientIP')['timeoutSeconds'];
  return typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0 ? seconds : DEFAULT_AFFINITY_SECONDS;
}

/** The field may be set where it means nothing: an API server keeps what it does not need to check. */
function healthCheckNodePort(spec: Fields, warn: Warn): number {
  if (spec['type'] !== 'LoadBalancer' || policy(spec, 'externalTrafficPolicy') !== 'Local') return 0;
  const port = spec['healthCheckNodePort'] ?? 0;
  if (port === 0 || isPort(port)) return port;
  warn(`spec.healthCheckNodePort left out: port must be 1-65535: current value is ${JSON.stringify(port)}`);
  return 0;
}

const policy = (spec: Fields, name: string) => (spec[name] === 'Local' ? 'Local' : 'Cluster');
