/**
 * Cluster addresses and node ports of Services. What is in use is read off the Services that there are, so nothing has to
 * be given back, and a dry run takes nothing.
 */
import {
  bytesOf,
  type Cidr,
  cidrContains,
  familyOf,
  type IpAddress,
  type IpFamily,
  ipFromBytes,
  parseIp,
} from '@tombolo/shared/model/ip.ts';
import { fieldAt, type KubeObject, listAt } from './objects.ts';

const FIRST_NODE_PORT = 30000;
const LAST_NODE_PORT = 32767;
/** As many of a range as are handed out: the last two bytes of an address. */
const MOST_ADDRESSES = 2 ** 16;

export class ServiceAddresses {
  readonly #cidrs: readonly Cidr[];
  readonly #services: () => readonly KubeObject[];

  constructor(cidrs: readonly Cidr[], services: () => readonly KubeObject[]) {
    this.#cidrs = cidrs;
    this.#services = services;
  }

  /** In the order of configuration; the first is what a single-stack Service gets. */
  get families(): readonly IpFamily[] {
    return this.#cidrs.map(({ address }) => familyOf(address));
  }

  /** Undefined when the family is not configured or its range is full. */
  nextAddress(family: IpFamily): IpAddress | undefined {
    const range = this.#cidrs.find(({ address }) => familyOf(address) === family);
    if (!range) return undefined;
    const users = this.#users();
    const size = Math.min(2 ** (bytesOf(range.address).length * 8 - range.length), MOST_ADDRESSES);
    for (let offset = 1; offset < size; offset++) {
      const address = addressAt(range, offset);
      if (!users.has(address)) return address;
    }
    return undefined;
  }

  /** Why a Service may not have this address; undefined when it may. */
  refusal(text: string, uid: string): string | undefined {
    const address = parseIp(text);
    if (!address.ok) return 'must be a valid IP address';
    if (!this.#cidrs.some((cidr) => cidrContains(cidr, address.value)))
      return `failed to allocate IP ${text}: the provided IP is not in the valid range`;
    const isFree = (this.#users().get(address.value) ?? uid) === uid;
    return isFree ? undefined : `failed to allocate IP ${text}: provided IP is already allocated`;
  }

  /** Beyond the range when all are taken. */
  nextNodePort(protocol: string, taken: ReadonlySet<string>): number {
    const users = this.#users();
    let port = FIRST_NODE_PORT;
    while (users.has(nodePortKey(protocol, port)) || taken.has(nodePortKey(protocol, port))) port++;
    return port;
  }

  nodePortRefusal(protocol: string, port: number, uid: string): string | undefined {
    const range = `${FIRST_NODE_PORT}-${LAST_NODE_PORT}`;
    if (port < FIRST_NODE_PORT || port > LAST_NODE_PORT)
      return `provided port is not in the valid range. The range of valid ports is ${range}`;
    const isFree = (this.#users().get(nodePortKey(protocol, port)) ?? uid) === uid;
    return isFree ? undefined : 'provided port is already allocated';
  }

  /** The Service, by its uid, that has an address or node port. */
  #users(): ReadonlyMap<string, string> {
    return new Map(
      this.#services().flatMap((service) => takenBy(service).map((used) => [used, service.metadata.uid] as const)),
    );
  }
}

export const nodePortKey = (protocol: string, port: number): string => `${protocol}/${port}`;

function takenBy(service: KubeObject): string[] {
  const ports = listAt(service, 'spec.ports').filter((port) => fieldAt(port, 'nodePort') !== undefined);
  return [
    ...listAt(service, 'spec.clusterIPs').map(String),
    ...ports.map((port) => nodePortKey(String(fieldAt(port, 'protocol')), Number(fieldAt(port, 'nodePort')))),
  ];
}

function addressAt({ address }: Cidr, offset: number): IpAddress {
  const bytes = bytesOf(address);
  const low = bytes.length - 2;
  const sum = (bytes[low] ?? 0) * 256 + (bytes[low + 1] ?? 0) + offset;
  bytes[low] = Math.floor(sum / 256);
  bytes[low + 1] = sum % 256;
  return ipFromBytes(bytes);
}
