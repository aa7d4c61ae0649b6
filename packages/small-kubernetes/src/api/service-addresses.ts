/**
 * Cluster addresses and node ports of Services. What is in use is read from the store's change feed, so nothing has to
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
import type { Change } from './store.ts';

const FIRST_NODE_PORT = 30000;
const LAST_NODE_PORT = 32767;
/** As many of a range as are handed out: the last two bytes of an address. */
const MOST_ADDRESSES = 2 ** 16;

interface Range {
  readonly cidr: Cidr;
  readonly size: number;
  next: number;
}

export class ServiceAddresses {
  readonly #ranges: Range[];
  readonly #users = new Map<string, string>();

  constructor(cidrs: readonly Cidr[]) {
    this.#ranges = cidrs.map((cidr) => {
      const bits = bytesOf(cidr.address).length * 8 - cidr.length;
      return { cidr, size: Math.min(2 ** bits, MOST_ADDRESSES), next: 1 };
    });
  }

  /** In the order of configuration; the first is what a single-stack Service gets. */
  get families(): readonly IpFamily[] {
    return this.#ranges.map(({ cidr }) => familyOf(cidr.address));
  }

  observe({ object, previous, type }: Change): void {
    if (previous) for (const used of takenBy(previous)) this.#users.delete(used);
    if (type !== 'DELETED') for (const used of takenBy(object)) this.#users.set(used, object.metadata.uid);
  }

  /** Undefined when the family is not configured or its range is full. */
  nextAddress(family: IpFamily): IpAddress | undefined {
    const range = this.#ranges.find(({ cidr }) => familyOf(cidr.address) === family);
    for (let tries = 1; range && tries < range.size; tries++) {
      const address = addressAt(range.cidr, range.next);
      range.next = range.next + 1 >= range.size ? 1 : range.next + 1;
      if (!this.#users.has(address)) return address;
    }
    return undefined;
  }

  /** Why a Service may not have this address; undefined when it may. */
  refusal(text: string, uid: string): string | undefined {
    const address = parseIp(text);
    if (!address.ok) return 'must be a valid IP address';
    if (!this.#ranges.some(({ cidr }) => cidrContains(cidr, address.value)))
      return `failed to allocate IP ${text}: the provided IP is not in the valid range`;
    const isFree = (this.#users.get(address.value) ?? uid) === uid;
    return isFree ? undefined : `failed to allocate IP ${text}: provided IP is already allocated`;
  }

  /** Beyond the range when all are taken. */
  nextNodePort(protocol: string, taken: ReadonlySet<string>): number {
    let port = FIRST_NODE_PORT;
    for (let key = nodePortKey(protocol, port); this.#users.has(key) || taken.has(key); ) {
      key = nodePortKey(protocol, ++port);
    }
    return port;
  }

  nodePortRefusal(protocol: string, port: number, uid: string): string | undefined {
    const range = `${FIRST_NODE_PORT}-${LAST_NODE_PORT}`;
    if (port < FIRST_NODE_PORT || port > LAST_NODE_PORT)
      return `provided port is not in the valid range. The range of valid ports is ${range}`;
    const isFree = (this.#users.get(nodePortKey(protocol, port)) ?? uid) === uid;
    return isFree ? undefined : 'provided port is already allocated';
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
