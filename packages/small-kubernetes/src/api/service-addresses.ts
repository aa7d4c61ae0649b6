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
import { fieldAt, type KubeObject } from './objects.ts';
import type { Change } from './store.ts';

const FIRST_NODE_PORT = 30000;
const LAST_NODE_PORT = 32767;
/** Enough for 60,000 services, and small enough to walk through. */
const LARGEST_RANGE = 2 ** 20;

interface Range {
  readonly cidr: Cidr;
  readonly size: number;
  next: number;
}

export class ServiceAddresses {
  readonly #ranges: Range[];
  readonly #users = new Map<string, string>();

  constructor(cidrs: readonly Cidr[]) {
    this.#ranges = cidrs.map((cidr) => ({ cidr, size: sizeOf(cidr), next: 1 }));
  }

  /** In the order of configuration; the first is what a single-stack Service gets. */
  get families(): readonly IpFamily[] {
    return this.#ranges.map(({ cidr }) => familyOf(cidr.address));
  }

  observe({ object, previous, type }: Change): void {
    if (previous) for (const used of resourcesOf(previous)) this.#users.delete(used);
    if (type !== 'DELETED') for (const used of resourcesOf(object)) this.#users.set(used, object.metadata.uid);
  }

  /** Undefined when the family is not configured or its range is full. */
  nextAddress(family: IpFamily): IpAddress | undefined {
    const range = this.#ranges.find(({ cidr }) => familyOf(cidr.address) === family);
    if (!range) return undefined;
    for (let tries = 1; tries < range.size; tries++) {
      const at = range.next;
      range.next = at + 1 >= range.size ? 1 : at + 1;
      const address = addressAt(range.cidr, at);
      if (!this.#users.has(address)) return address;
    }
    return undefined;
  }

  /** Why a Service may not have this address; undefined when it may. */
  refusal(text: string, uid: string): string | undefined {
    const address = parseIp(text);
    if (!address.ok) return 'must be a valid IP address';
    if (!this.#ranges.some(({ cidr }) => cidrContains(cidr, address.value))) {
      return `failed to allocate IP ${text}: the provided IP is not in the valid range`;
    }
    const user = this.#users.get(address.value);
    return user !== undefined && user !== uid
      ? `failed to allocate IP ${text}: provided IP is already allocated`
      : undefined;
  }

  nextNodePort(protocol: string, taken: ReadonlySet<string>): number | undefined {
    for (let port = FIRST_NODE_PORT; port <= LAST_NODE_PORT; port++) {
      const key = nodePortKey(protocol, port);
      if (!this.#users.has(key) && !taken.has(key)) return port;
    }
    return undefined;
  }

  nodePortRefusal(protocol: string, port: number, uid: string): string | undefined {
    if (port < FIRST_NODE_PORT || port > LAST_NODE_PORT) {
      return `provided port is not in the valid range. The range of valid ports is ${FIRST_NODE_PORT}-${LAST_NODE_PORT}`;
    }
    const user = this.#users.get(nodePortKey(protocol, port));
    return user !== undefined && user !== uid ? 'provided port is already allocated' : undefined;
  }
}

export const nodePortKey = (protocol: string, port: number): string => `${protocol}/${port}`;

function* resourcesOf(service: KubeObject): Iterable<string> {
  const addresses = fieldAt(service, ['spec', 'clusterIPs']);
  if (Array.isArray(addresses)) for (const address of addresses) if (address !== 'None') yield String(address);
  const ports = fieldAt(service, ['spec', 'ports']);
  if (!Array.isArray(ports)) return;
  for (const port of ports) {
    const nodePort = fieldAt(port, ['nodePort']);
    if (typeof nodePort === 'number') yield nodePortKey(String(fieldAt(port, ['protocol']) ?? 'TCP'), nodePort);
  }
}

function sizeOf({ address, length }: Cidr): number {
  const bits = bytesOf(address).length * 8 - length;
  return Math.min(2 ** bits, LARGEST_RANGE);
}

function addressAt({ address }: Cidr, offset: number): IpAddress {
  const bytes = bytesOf(address);
  let rest = offset;
  for (let at = bytes.length - 1; at >= 0 && rest > 0; at--) {
    const sum = (bytes[at] ?? 0) + (rest % 256);
    bytes[at] = sum % 256;
    rest = Math.floor(rest / 256) + Math.floor(sum / 256);
  }
  return ipFromBytes(bytes);
}
