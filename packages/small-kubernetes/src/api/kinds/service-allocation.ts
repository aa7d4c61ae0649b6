/** Cluster addresses, families and node ports that a Service gets when it is created or changes its type. */
import { type Cause, invalidValue } from '../api-error.ts';
import type { KubeObject } from '../objects.ts';
import { nodePortKey, type ServiceAddresses } from '../service-addresses.ts';
import { usesNodePorts } from './service.ts';
import type { Service, ServiceSpec } from './typed.ts';

export function allocateService(draft: KubeObject, addresses: ServiceAddresses): Cause[] {
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
  const causes: Cause[] = [];
  const refuse = (why: string) => void causes.push(invalidValue('spec.clusterIPs', wanted, why));
  const chosen = families.map((family) => {
    const asked = wanted.find((address) => address.includes(':') === (family === 6));
    const address = asked ?? addresses.nextAddress(family);
    const refusal = asked && addresses.refusal(asked, uid);
    if (address === undefined) refuse(`no free IPv${family} address is left`);
    else if (refusal) refuse(refusal);
    return address ?? '';
  });
  spec.clusterIPs = wanted[0] === 'None' ? ['None'] : chosen;
  spec.clusterIP = spec.clusterIPs[0] ?? '';
  return wanted[0] === 'None' ? [] : causes;
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
    const { protocol = 'TCP', nodePort = addresses.nextNodePort(protocol, taken) } = port;
    const refusal = addresses.nodePortRefusal(protocol, nodePort, uid);
    port.nodePort = nodePort;
    taken.add(nodePortKey(protocol, nodePort));
    return refusal === undefined ? [] : [invalidValue(`spec.ports[${at}].nodePort`, nodePort, refusal)];
  });
}
