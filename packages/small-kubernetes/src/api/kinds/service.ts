/** Services: defaults, checks of obvious errors, and what an update keeps from the old object. */
import { type Cause, invalidValue, notSupported, required } from '../api-error.ts';
import type { KubeObject } from '../objects.ts';
import type { Service, ServicePort, ServiceSpec } from './typed.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

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
  const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = old;
  if (!spec.clusterIP && !spec.clusterIPs?.length) Object.assign(spec, { clusterIP, clusterIPs });
  if (!spec.ipFamilies && ipFamilies) spec.ipFamilies = [...ipFamilies];
  if (ipFamilyPolicy !== undefined) spec.ipFamilyPolicy ??= ipFamilyPolicy;
  for (const port of spec.ports ?? []) {
    const same = old.ports?.find((other) => other.port === port.port && other.protocol === port.protocol);
    if (!usesNodePorts(spec)) delete port.nodePort;
    else if (same?.nodePort !== undefined) port.nodePort ??= same.nodePort;
  }
}

export function validateService(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { spec } = object as Service;
  const { type = '', clusterIP, ports = [] } = spec;
  const causes: Cause[] = [];
  if (!TYPES.includes(type)) causes.push(notSupported('spec.type', type, TYPES));
  if (type !== 'ExternalName' && clusterIP !== 'None' && ports.length === 0) causes.push(required('spec.ports'));
  const before = (old as Service | undefined)?.spec ?? {};
  const isMoved = before.clusterIP && before.type !== 'ExternalName' && type !== 'ExternalName';
  if (isMoved && clusterIP !== before.clusterIP)
    causes.push(invalidValue('spec.clusterIPs[0]', [clusterIP ?? ''], 'may not change once set'));
  return [...causes, ...ports.flatMap((port, at) => validatePort(port, ports.length > 1, `spec.ports[${at}]`))];
}

function validatePort({ name, port, targetPort }: ServicePort, needsName: boolean, field: string): Cause[] {
  const causes: Cause[] = [];
  if (needsName && !name) causes.push(required(`${field}.name`));
  const range = 'must be between 1 and 65535, inclusive';
  if (!isPort(port)) causes.push(invalidValue(`${field}.port`, port, range));
  if (typeof targetPort === 'number' && !isPort(targetPort))
    causes.push(invalidValue(`${field}.targetPort`, targetPort, range));
  return causes;
}

const isPort = (port: unknown): boolean => Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65535;
