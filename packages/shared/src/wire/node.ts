/**
 * `cilium/state/nodes/v1/<cluster>/<node>`: one node, with Go's field names and nothing left out. Prefixes are written
 * as `{"IP","Mask"}`, which every reader understands; the plain text of later writers is accepted.
 */
import type { IpAddress } from '../model/ip.ts';
import type { Result } from '../model/result.ts';
import { checkClusterId, checkClusterName, checkSuffix, decoding, type EntryExpectations } from './expectations.ts';
import { goList, goString, goStringMap, goStruct } from './go-json.ts';
import type { Json } from './json-parser.ts';
import { encodePrefix, goIpText, readAddress, readPrefix, type WirePrefix } from './prefix.ts';
import { decodeJson, fieldNames, type Problems, StructReader } from './struct-reader.ts';

export interface WireNodeAddress {
  /** Hostname, ExternalIP, InternalIP, ExternalDNS, InternalDNS or CiliumInternalIP. */
  readonly type: string;
  readonly ip: IpAddress | '';
}

export interface WireNode {
  readonly name: string;
  readonly cluster: string;
  readonly addresses: readonly WireNodeAddress[] | null;
  readonly ipv4AllocCidr: WirePrefix | null;
  readonly ipv4SecondaryAllocCidrs: readonly (WirePrefix | null)[] | null;
  readonly ipv6AllocCidr: WirePrefix | null;
  readonly ipv6SecondaryAllocCidrs: readonly (WirePrefix | null)[] | null;
  readonly ipv4HealthIp: IpAddress | '';
  readonly ipv6HealthIp: IpAddress | '';
  readonly ipv4IngressIp: IpAddress | '';
  readonly ipv6IngressIp: IpAddress | '';
  readonly clusterId: number;
  readonly source: string;
  readonly encryptionKey: number;
  readonly labels: ReadonlyMap<string, string> | null;
  readonly annotations: ReadonlyMap<string, string> | null;
  readonly wireguardPubKey: string;
  readonly bootId: string;
}

const NODE_FIELDS = fieldNames(
  'Name',
  'Cluster',
  'IPAddresses',
  'IPv4AllocCIDR',
  'IPv4SecondaryAllocCIDRs',
  'IPv6AllocCIDR',
  'IPv6SecondaryAllocCIDRs',
  'IPv4HealthIP',
  'IPv6HealthIP',
  'IPv4IngressIP',
  'IPv6IngressIP',
  'ClusterID',
  'Source',
  'EncryptionKey',
  'Labels',
  'Annotations',
  'WireguardPubKey',
  'BootID',
);
const ADDRESS_FIELDS = fieldNames('Type', 'IP');

/** `expected.suffix` is the node's name. */
export function decodeNode(value: Uint8Array | string, expected: EntryExpectations): Result<WireNode> {
  return decodeJson(decoding('node', expected), value, (json, problems) => {
    const node = readNode(new StructReader(json, '', NODE_FIELDS, problems), problems);
    if (node.name === '') problems.note('Name must not be empty');
    checkClusterName('Cluster', node.cluster, expected, problems);
    checkSuffix('Name', node.name, expected, problems);
    checkClusterId('ClusterID', node.clusterId, expected, problems);
    return node;
  });
}

function readNode(fields: StructReader, problems: Problems): WireNode {
  const prefix = (name: string) => readPrefix(fields.raw(name), fields.pathOf(name), problems);
  const prefixes = (name: string) => fields.list(name, (item, path) => readPrefix(item, path, problems));
  const address = (name: string) => readAddress(fields.raw(name), fields.pathOf(name), problems);
  return {
    name: fields.string('Name'),
    cluster: fields.string('Cluster'),
    addresses: fields.list('IPAddresses', (item, path) => readNodeAddress(item, path, problems)),
    ipv4AllocCidr: prefix('IPv4AllocCIDR'),
    ipv4SecondaryAllocCidrs: prefixes('IPv4SecondaryAllocCIDRs'),
    ipv6AllocCidr: prefix('IPv6AllocCIDR'),
    ipv6SecondaryAllocCidrs: prefixes('IPv6SecondaryAllocCIDRs'),
    ipv4HealthIp: address('IPv4HealthIP'),
    ipv6HealthIp: address('IPv6HealthIP'),
    ipv4IngressIp: address('IPv4IngressIP'),
    ipv6IngressIp: address('IPv6IngressIP'),
    clusterId: fields.uint('ClusterID', 0xffff_ffff),
    source: fields.string('Source'),
    encryptionKey: fields.uint('EncryptionKey', 255),
    labels: explicitMap(fields, 'Labels'),
    annotations: explicitMap(fields, 'Annotations'),
    wireguardPubKey: fields.string('WireguardPubKey'),
    bootId: fields.string('BootID'),
  };
}

/** Here readers prepare no empty map: absent is `null`. */
const explicitMap = (fields: StructReader, name: string): ReadonlyMap<string, string> | null =>
  fields.raw(name) === undefined ? null : fields.stringMap(name);

function readNodeAddress(json: Json, path: string, problems: Problems): WireNodeAddress {
  const fields = new StructReader(json, path, ADDRESS_FIELDS, problems);
  return { type: fields.string('Type'), ip: readAddress(fields.raw('IP'), fields.pathOf('IP'), problems) };
}

const encodeIp = (address: IpAddress | ''): string => `"${address === '' ? '' : goIpText(address)}"`;

export function encodeNode(node: WireNode): string {
  return goStruct([
    ['Name', goString(node.name)],
    ['Cluster', goString(node.cluster)],
    ['IPAddresses', goList(node.addresses, ({ type, ip }) => `{"Type":${goString(type)},"IP":${encodeIp(ip)}}`)],
    ['IPv4AllocCIDR', encodePrefix(node.ipv4AllocCidr)],
    ['IPv4SecondaryAllocCIDRs', goList(node.ipv4SecondaryAllocCidrs, encodePrefix)],
    ['IPv6AllocCIDR', encodePrefix(node.ipv6AllocCidr)],
    ['IPv6SecondaryAllocCIDRs', goList(node.ipv6SecondaryAllocCidrs, encodePrefix)],
    ['IPv4HealthIP', encodeIp(node.ipv4HealthIp)],
    ['IPv6HealthIP', encodeIp(node.ipv6HealthIp)],
    ['IPv4IngressIP', encodeIp(node.ipv4IngressIp)],
    ['IPv6IngressIP', encodeIp(node.ipv6IngressIp)],
    ['ClusterID', String(node.clusterId)],
    ['Source', goString(node.source)],
    ['EncryptionKey', String(node.encryptionKey)],
    ['Labels', goStringMap(node.labels)],
    ['Annotations', goStringMap(node.annotations)],
    ['WireguardPubKey', goString(node.wireguardPubKey)],
    ['BootID', goString(node.bootId)],
  ]);
}
