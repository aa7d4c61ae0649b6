/** Services: defaults, checks of obvious errors, and what an update keeps from the old object. */
import { type Cause, duplicate, invalidValue, notSupported, required } from '../api-error.ts';
import { isLabelValue } from '../label-selector.ts';
import type { KubeObject } from '../objects.ts';
import type { Service, ServicePort, ServiceSpec } from './typed.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

export const usesNodePorts = ({ type, allocateLoadBalancerNodePorts }: ServiceSpec): boolean =>
  type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false);

export function defaultService(draft: KubeObject, old: KubeObject | undefined): void {
  const service = draft as Service;
  service.spec ??= {};
  const { spec } = service;
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (spec.sessionAffinity === 'ClientIP') spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10800 } };
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') spec.externalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP';
    port.targetPort ??= port.port;
  }
  service['status'] ??= { loadBalancer: {} };
  if (old) keepAllocated(spec, (old as Service).spec);
}

/** A replace or apply that leaves allocated fields out keeps them. */
function keepAllocated(spec: ServiceSpec, old: ServiceSpec): void {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName') return;
  if (!spec.clusterIP && !spec.clusterIPs?.length && old.clusterIP) {
    spec.clusterIP = old.clusterIP;
    if (old.clusterIPs) spec.clusterIPs = [...old.clusterIPs];
  }
  if (!spec.ipFamilies && old.ipFamilies) spec.ipFamilies = [...old.ipFamilies];
  if (spec.ipFamilyPolicy === undefined && old.ipFamilyPolicy !== undefined) spec.ipFamilyPolicy = old.ipFamilyPolicy;
  for (const port of spec.ports ?? []) {
    if (!usesNodePorts(spec)) {
      delete port.nodePort;
      continue;
    }
    const same = old.ports?.find((other) => other.port === port.port && other.protocol === port.protocol);
    if (port.nodePort === undefined && same?.nodePort !== undefined) port.nodePort = same.nodePort;
  }
}

export function validateService(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Service;
  const ports = spec.ports ?? [];
  const causes: Cause[] = [];
  if (!TYPES.includes(spec.type ?? '')) causes.push(notSupported('spec.type', spec.type, TYPES));
  if (!['None', 'ClientIP'].includes(spec.sessionAffinity ?? '')) {
    causes.push(notSupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']));
  }
  if (spec.type === 'ExternalName') {
    if (!spec.externalName) causes.push(required('spec.externalName'));
  } else if (ports.length === 0 && spec.clusterIP !== 'None') causes.push(required('spec.ports'));
  for (const [at, port] of ports.entries()) causes.push(...validatePort(port, `spec.ports[${at}]`, ports.length > 1));
  causes.push(...duplicatesOf(ports));
  const before = (old as Service | undefined)?.spec;
  if (before) causes.push(...validateUnchanged(spec, before));
  return causes;
}

function validatePort({ name, port, protocol = '', targetPort }: ServicePort, field: string, named: boolean): Cause[] {
  const causes: Cause[] = [];
  if (named && !name) causes.push(required(`${field}.name`));
  if (name !== undefined && name !== '' && (!isLabelValue(name) || name !== name.toLowerCase() || /[._]/.test(name))) {
    causes.push(
      invalidValue(
        `${field}.name`,
        name,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
      ),
    );
  }
  if (!isPort(port)) causes.push(invalidValue(`${field}.port`, port, 'must be between 1 and 65535, inclusive'));
  if (!PROTOCOLS.includes(protocol)) causes.push(notSupported(`${field}.protocol`, protocol, PROTOCOLS));
  if (typeof targetPort === 'number' && !isPort(targetPort)) {
    causes.push(invalidValue(`${field}.targetPort`, targetPort, 'must be between 1 and 65535, inclusive'));
  }
  return causes;
}

function duplicatesOf(ports: readonly ServicePort[]): Cause[] {
  const seen = new Set<string>();
  return ports.flatMap(({ name, port, protocol }, at) => {
    const causes: Cause[] = [];
    const numbered = `${protocol}/${port}`;
    if (seen.has(numbered)) causes.push(duplicate(`spec.ports[${at}]`, { protocol, port }));
    if (name && seen.has(name)) causes.push(duplicate(`spec.ports[${at}].name`, name));
    seen.add(numbered);
    if (name) seen.add(name);
    return causes;
  });
}

function validateUnchanged(spec: ServiceSpec, old: ServiceSpec): Cause[] {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName' || !old.clusterIP) return [];
  if (spec.clusterIP !== old.clusterIP) {
    return [invalidValue('spec.clusterIPs[0]', [spec.clusterIP ?? ''], 'may not change once set')];
  }
  return [];
}

const isPort = (port: unknown): boolean => Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65535;
