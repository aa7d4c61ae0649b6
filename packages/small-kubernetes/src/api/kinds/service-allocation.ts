/** Cluster addresses, families and node ports that a Service gets when it is created or changes its type. */
import { type Cause, invalidValue } from '../api-error.ts';
import type { KubeObject } from '../objects.ts';
import type { AllocationContext } from '../resource.ts';
import { nodePortKey, type ServiceAddresses } from '../service-addresses.ts';
import { usesNodePorts } from './service.ts';
import type { Service, ServiceSpec } from './typed.ts';

export function allocateService(
  draft: KubeObject,
  _old: KubeObject | undefined,
  { addresses }: AllocationContext,
): Cause[] {
  const { spec, metadata } = draft as Service;
  if (spec.type === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete spec[field];
    return [];
  }
  return [...allocateAddresses(spec, metadata.uid, addresses), ...allocateNodePorts(spec, metadata.uid, addresses)];
}

function allocateAddresses(spec: ServiceSpec, uid: string, addresses: ServiceAddresses): Cause[] {
  const wanted = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
  const families = familiesOf(spec, wanted, addresses);
  if (typeof families === 'string') return [invalidValue('spec.ipFamilies', spec.ipFamilies ?? [], families)];
  spec.ipFamilies = families.map((family) => `IPv${family}`);
  spec.ipFamilyPolicy ??= families.length > 1 ? 'PreferDualStack' : 'SingleStack';
  if (wanted[0] === 'None') {
    spec.clusterIP = 'None';
    spec.clusterIPs = ['None'];
    return [];
  }
  const causes: Cause[] = [];
  const chosen = families.map((family) => {
    const asked = wanted.find((address) => address.includes(':') === (family === 6));
    if (asked !== undefined) {
      const refusal = addresses.refusal(asked, uid);
      if (refusal !== undefined) causes.push(invalidValue('spec.clusterIPs', wanted, refusal));
      return asked;
    }
    const address = addresses.nextAddress(family);
    if (address === undefined)
      causes.push(invalidValue('spec.clusterIPs', wanted, `no free IPv${family} address is left`));
    return address ?? '';
  });
  spec.clusterIP = chosen[0] ?? '';
  spec.clusterIPs = chosen;
  return causes;
}

/** In order; a sentence when they cannot be had. */
function familiesOf(spec: ServiceSpec, wanted: readonly string[], addresses: ServiceAddresses): (4 | 6)[] | string {
  const configured = addresses.families;
  const named = (spec.ipFamilies ?? []).map((name) => (name === 'IPv6' ? 6 : 4));
  const implied = wanted.filter((address) => address !== 'None').map((address) => (address.includes(':') ? 6 : 4));
  const asked: (4 | 6)[] = named.length > 0 ? named : implied;
  const missing = asked.find((family) => !configured.includes(family));
  if (missing !== undefined) return `IPv${missing} is not configured on this cluster`;
  const first = asked[0] ?? configured[0] ?? 4;
  const second = asked[1] ?? configured.find((family) => family !== first);
  switch (spec.ipFamilyPolicy) {
    case 'RequireDualStack':
      return second === undefined ? 'this cluster is not configured for dual-stack services' : [first, second];
    case 'PreferDualStack':
      return second === undefined ? [first] : [first, second];
    case 'SingleStack':
      return [first];
    default:
      return asked.length > 1 ? asked : [first];
  }
}

function allocateNodePorts(spec: ServiceSpec, uid: string, addresses: ServiceAddresses): Cause[] {
  if (!usesNodePorts(spec)) return [];
  const taken = new Set<string>();
  return (spec.ports ?? []).flatMap((port, at) => {
    const protocol = port.protocol ?? 'TCP';
    const field = `spec.ports[${at}].nodePort`;
    if (port.nodePort) {
      taken.add(nodePortKey(protocol, port.nodePort));
      const refusal = addresses.nodePortRefusal(protocol, port.nodePort, uid);
      return refusal === undefined ? [] : [invalidValue(field, port.nodePort, refusal)];
    }
    const free = addresses.nextNodePort(protocol, taken);
    if (free === undefined) return [invalidValue(field, 0, 'no free node port is left')];
    port.nodePort = free;
    taken.add(nodePortKey(protocol, free));
    return [];
  });
}
