/**
 * Cluster addresses, families and node ports that a Service gets when it is created or changes its type. What is in use is
 * read off the Services that there are, so nothing has to be given back, and a dry run takes nothing.
 */
import {
  bytesOf,
  type Cidr,
  cidrContains,
  familyOf,
  type IpFamily,
  ipFromBytes,
  parseIp,
} from '@tombolo/shared/model/ip.ts';
import { type Cause, invalidValue } from '../api-error.ts';
import type { KubeObject } from '../objects.ts';
import { usesNodePorts } from './service.ts';
import type { Service, ServiceSpec } from './typed.ts';

const FIRST_NODE_PORT = 30000;
const LAST_NODE_PORT = 32767;
/** As many of a range as are handed out: the last two bytes of an address. */
const MOST_ADDRESSES = 2 ** 16;

/** `ranges` has at most one of each family; the first is what a single-stack Service gets. */
export function allocateService(
  draft: KubeObject,
  ranges: readonly Cidr[],
  services: readonly KubeObject[],
): readonly Cause[] {
  const { spec, metadata } = draft as Service;
  if (spec.type === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete spec[field];
    return [];
  }
  const others = services.filter(({ metadata: { uid } }) => uid !== metadata.uid) as Service[];
  return [...allocateAddresses(spec, ranges, others), ...(usesNodePorts(spec) ? allocateNodePorts(spec, others) : [])];
}

function allocateAddresses(spec: ServiceSpec, ranges: readonly Cidr[], others: readonly Service[]): Cause[] {
  const wanted = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
  const families = familiesOf(spec, wanted, ranges);
  if (typeof families === 'string') return [invalidValue('spec.ipFamilies', spec.ipFamilies ?? [], families)];
  spec.ipFamilies = families.map((family) => `IPv${family}`);
  spec.ipFamilyPolicy ??= families.length > 1 ? 'PreferDualStack' : 'SingleStack';
  if (wanted[0] === 'None') {
    Object.assign(spec, { clusterIP: 'None', clusterIPs: ['None'] });
    return [];
  }
  const taken = new Set(others.flatMap(({ spec: { clusterIPs = [] } }) => clusterIPs));
  const causes: Cause[] = [];
  spec.clusterIPs = families.map((family) => {
    const asked = wanted.find((address) => address.includes(':') === (family === 6));
    const address = asked ?? freeAddress(family, ranges, taken) ?? '';
    const refusal = address === '' ? `no free IPv${family} address is left` : refusalOf(address, ranges, taken);
    if (refusal !== undefined) causes.push(invalidValue('spec.clusterIPs', wanted, refusal));
    return address;
  });
  spec.clusterIP = spec.clusterIPs[0] ?? '';
  return causes;
}

/** In order; a sentence when they cannot be had. */
function familiesOf(spec: ServiceSpec, wanted: readonly string[], ranges: readonly Cidr[]): IpFamily[] | string {
  const configured = ranges.map(({ address }) => familyOf(address));
  const named = (spec.ipFamilies ?? []).map((name) => (name === 'IPv6' ? 6 : 4));
  const implied = wanted.filter((address) => address !== 'None').map((address) => (address.includes(':') ? 6 : 4));
  const asked: IpFamily[] = named.length > 0 ? named : implied;
  const missing = asked.find((family) => !configured.includes(family));
  if (missing !== undefined) return `IPv${missing} is not configured on this cluster`;
  const first = asked[0] ?? configured[0] ?? 4;
  const second = asked[1] ?? configured.find((family) => family !== first);
  const { ipFamilyPolicy: policy = asked.length > 1 ? 'PreferDualStack' : 'SingleStack' } = spec;
  if (policy === 'SingleStack') return [first];
  if (second !== undefined) return [first, second];
  return policy === 'PreferDualStack' ? [first] : 'this cluster is not configured for dual-stack services';
}

/** Undefined when the range is full. */
function freeAddress(family: IpFamily, ranges: readonly Cidr[], taken: ReadonlySet<string>): string | undefined {
  const range = ranges.find(({ address }) => familyOf(address) === family);
  if (!range) return undefined;
  const bytes = bytesOf(range.address);
  const low = bytes.length - 2;
  const first = (bytes[low] ?? 0) * 256 + (bytes[low + 1] ?? 0);
  const size = Math.min(2 ** (bytes.length * 8 - range.length), MOST_ADDRESSES);
  for (let offset = 1; offset < size; offset++) {
    bytes[low] = Math.floor((first + offset) / 256);
    bytes[low + 1] = (first + offset) % 256;
    const address = ipFromBytes(bytes);
    if (!taken.has(address)) return address;
  }
  return undefined;
}

/** Why a Service may not have this address; undefined when it may. */
function refusalOf(text: string, ranges: readonly Cidr[], taken: ReadonlySet<string>): string | undefined {
  const address = parseIp(text);
  if (!address.ok) return 'must be a valid IP address';
  if (!ranges.some((cidr) => cidrContains(cidr, address.value)))
    return `failed to allocate IP ${text}: the provided IP is not in the valid range`;
  return taken.has(address.value) ? `failed to allocate IP ${text}: provided IP is already allocated` : undefined;
}

function allocateNodePorts({ ports = [] }: ServiceSpec, others: readonly Service[]): Cause[] {
  const keyOf = (protocol: string | undefined, port: number | undefined) => `${protocol}/${port}`;
  const taken = new Set(others.flatMap(({ spec }) => (spec.ports ?? []).map((p) => keyOf(p.protocol, p.nodePort))));
  return ports.flatMap((port, at) => {
    const { protocol } = port;
    let { nodePort = FIRST_NODE_PORT } = port;
    if (port.nodePort === undefined) while (taken.has(keyOf(protocol, nodePort))) nodePort++;
    const isOutside = nodePort < FIRST_NODE_PORT || nodePort > LAST_NODE_PORT;
    const range = `the valid range. The range of valid ports is ${FIRST_NODE_PORT}-${LAST_NODE_PORT}`;
    const isTaken = taken.has(keyOf(protocol, nodePort));
    port.nodePort = nodePort;
    taken.add(keyOf(protocol, nodePort));
    if (!isOutside && !isTaken) return [];
    const why = isOutside ? `provided port is not in ${range}` : 'provided port is already allocated';
    return [invalidValue(`spec.ports[${at}].nodePort`, nodePort, why)];
  });
}
