/**
 * `cilium/state/ip/v1/default/<address>`: which identity an address (or a prefix) has and on which node it is. The key
 * says the address again, in Go's canonical form.
 */
import type { IpAddress } from '../model/ip.ts';
import type { Result } from '../model/result.ts';
import { checkSuffix, decoding, type EntryExpectations } from './expectations.ts';
import { goList, goString, goStruct, unlessEmpty } from './go-json.ts';
import { FIRST_UNRESERVED_IDENTITY, identityRange } from './identity.ts';
import type { Json } from './json-parser.ts';
import { bitsOf, decodeMask, encodeMask, goIpText, goPrefixText, readAddress } from './prefix.ts';
import { decodeJson, fieldNames, type Problems, StructReader } from './struct-reader.ts';

export interface WireNamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

export interface WireIpEntry {
  readonly ip: IpAddress;
  /** Length of the prefix; undefined for a single address. */
  readonly prefixLength?: number | undefined;
  /** The node; empty when unknown. */
  readonly hostIp: IpAddress | '';
  /** As written: the host of another cluster says 1, and readers take it for a remote node, 6. */
  readonly identity: number;
  readonly encryptionKey: number;
  readonly metadata: string;
  readonly namespace: string;
  readonly pod: string;
  readonly serviceAccount: string;
  readonly namedPorts: readonly WireNamedPort[];
}

const ENTRY_FIELDS = fieldNames(
  'IP',
  'Mask',
  'HostIP',
  'ID',
  'Key',
  'Metadata',
  'K8sNamespace',
  'K8sPodName',
  'K8sServiceAccount',
  'NamedPorts',
);
const PORT_FIELDS = fieldNames('Name', 'Port', 'Protocol');
const UNSPECIFIED = '0.0.0.0' as IpAddress;

/** The last part of the entry's key: `10.1.3.17` or `10.1.0.0/16`. */
export const ipEntrySuffix = ({ ip, prefixLength }: Pick<WireIpEntry, 'ip' | 'prefixLength'>): string =>
  prefixLength === undefined ? goIpText(ip) : goPrefixText({ address: ip, length: prefixLength });

/** `expected.suffix` is the address, or the prefix. */
export function decodeIpEntry(value: Uint8Array | string, expected: EntryExpectations): Result<WireIpEntry> {
  return decodeJson(decoding('ip entry', expected), value, (json, problems) => {
    const fields = new StructReader(json, '', ENTRY_FIELDS, problems);
    const ip = readAddress(fields.raw('IP'), 'IP', problems);
    if (ip === '') problems.mismatch('IP', 'must be an IP address', fields.raw('IP'));
    const entry = {
      ip: ip === '' ? UNSPECIFIED : ip,
      prefixLength: readMask(fields, ip, problems),
      hostIp: readAddress(fields.raw('HostIP'), 'HostIP', problems),
      identity: fields.uint('ID', 0xffff_ffff),
      encryptionKey: fields.uint('Key', 255),
      metadata: fields.string('Metadata'),
      namespace: fields.string('K8sNamespace'),
      pod: fields.string('K8sPodName'),
      serviceAccount: fields.string('K8sServiceAccount'),
      namedPorts: fields.list('NamedPorts', (port, path) => readNamedPort(port, path, problems)) ?? [],
    };
    checkSuffix('IP', ipEntrySuffix(entry), expected, problems);
    checkIdentity(entry.identity, expected, problems);
    return entry;
  });
}

function readMask(fields: StructReader, ip: IpAddress | '', problems: Problems): number | undefined {
  const mask = fields.raw('Mask') ?? null;
  if (mask === null || ip === '') return undefined;
  const length = typeof mask === 'string' ? decodeMask(mask, bitsOf(ip)) : undefined;
  if (length === undefined) problems.mismatch('Mask', `must be a canonical mask of ${bitsOf(ip)} bits in base64`, mask);
  return length;
}

function readNamedPort(json: Json, path: string, problems: Problems): WireNamedPort {
  const fields = new StructReader(json, path, PORT_FIELDS, problems);
  return { name: fields.string('Name'), port: fields.uint('Port', 65_535), protocol: fields.string('Protocol') };
}

function checkIdentity(identity: number, expected: EntryExpectations, problems: Problems): void {
  const { first, last } = identityRange(expected.clusterId, expected.maxClusters);
  if (identity >= FIRST_UNRESERVED_IDENTITY && (identity < first || identity > last)) {
    problems.note(`ID must be ${first}-${last} or below 256: current value is ${identity}`);
  }
}

export function encodeIpEntry(entry: WireIpEntry): string {
  const mask = entry.prefixLength === undefined ? 'null' : `"${encodeMask(entry.prefixLength, bitsOf(entry.ip))}"`;
  return goStruct([
    ['IP', `"${goIpText(entry.ip)}"`],
    ['Mask', mask],
    ['HostIP', `"${entry.hostIp === '' ? '' : goIpText(entry.hostIp)}"`],
    ['ID', String(entry.identity)],
    ['Key', String(entry.encryptionKey)],
    ['Metadata', goString(entry.metadata)],
    ['K8sNamespace', unlessEmpty(entry.namespace)],
    ['K8sPodName', unlessEmpty(entry.pod)],
    ['K8sServiceAccount', unlessEmpty(entry.serviceAccount)],
    ['NamedPorts', entry.namedPorts.length === 0 ? undefined : goList(entry.namedPorts, encodeNamedPort)],
  ]);
}

const encodeNamedPort = ({ name, port, protocol }: WireNamedPort): string =>
  `{"Name":${goString(name)},"Port":${port},"Protocol":${goString(protocol)}}`;
