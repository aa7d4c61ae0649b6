/**
 * What is said on a network segment about who has an address, as Ethernet frames: ARP (RFC 826, RFC 5227) and neighbor
 * discovery (RFC 4861). Pure.
 */
import { bytesOf, familyOf, type IpAddress, ip } from '@tombolo/shared/model/ip.ts';

/** As `02:00:5e:00:53:01`. */
export type Mac = string;

const BROADCAST: Mac = 'ff:ff:ff:ff:ff:ff';
const NOBODY: Mac = '00:00:00:00:00:00';
const ALL_NODES = ip('ff02::1');
const ANY: Readonly<Record<4 | 6, IpAddress>> = { 4: ip('0.0.0.0'), 6: ip('::') };

const ETHERTYPES = { arp: 0x0806, ipv6: 0x86dd };
const [ARP_REQUEST, ARP_REPLY] = [1, 2];
const [SOLICITATION, ADVERTISEMENT] = [135, 136];
const [SOURCE_OPTION, TARGET_OPTION] = [1, 2];
/** Replaces what was known; asked by nobody. */
const OVERRIDE = 0x20;
const ICMPV6 = 58;
/** So that nobody beyond the segment can have sent it. */
const HOPS = 255;

/** All that is said to let everybody know that `address` is at `mac` now. */
export function announcementsOf(address: IpAddress, mac: Mac): readonly Buffer[] {
  if (familyOf(address) === 6) return [advertisement(address, mac)];
  // Some take notice of requests only, some of replies only.
  return [
    arp(ARP_REQUEST, mac, BROADCAST, { sender: address, target: address, targetMac: NOBODY }),
    arp(ARP_REPLY, mac, BROADCAST, { sender: address, target: address, targetMac: mac }),
  ];
}

/** Who asks: an interface, with its own link-local address if that is known. */
export interface Asker {
  readonly mac: Mac;
  readonly linkLocal?: IpAddress | undefined;
}

/**
 * Asks who has `address`; that changes nobody's mind about who has it. By ARP as one does who would like to take it. By
 * neighbor discovery as any neighbour: MetalLB does not answer those who do not say where they are.
 */
export function questionFor(address: IpAddress, { mac, linkLocal }: Asker): Buffer {
  if (familyOf(address) === 6) return solicitation(address, mac, linkLocal);
  return arp(ARP_REQUEST, mac, BROADCAST, { sender: ANY[4], target: address, targetMac: NOBODY });
}

/** The group that everybody joins who has the address (RFC 4291). */
export function solicitedNodeGroup(address: IpAddress): IpAddress {
  const hex = Buffer.from(bytesOf(address)).toString('hex');
  return ip(`ff02::1:ff${hex.slice(26, 28)}:${hex.slice(28)}`);
}

interface ArpParts {
  readonly sender: IpAddress;
  readonly target: IpAddress;
  readonly targetMac: Mac;
}

function arp(operation: number, from: Mac, to: Mac, { sender, target, targetMac }: ArpParts): Buffer {
  const body = Buffer.alloc(28);
  body.writeUInt16BE(1, 0);
  body.writeUInt16BE(0x0800, 2);
  body.writeUInt8(6, 4);
  body.writeUInt8(4, 5);
  body.writeUInt16BE(operation, 6);
  body.set(bytesOfMac(from), 8);
  body.set(bytesOf(sender), 14);
  body.set(bytesOfMac(targetMac), 18);
  body.set(bytesOf(target), 24);
  return ethernet(from, to, ETHERTYPES.arp, body);
}

const advertisement = (address: IpAddress, mac: Mac): Buffer => {
  const body = neighborBody(ADVERTISEMENT, address, 32);
  body.writeUInt8(OVERRIDE, 4);
  body.writeUInt8(TARGET_OPTION, 24);
  body.writeUInt8(1, 25);
  body.set(bytesOfMac(mac), 26);
  return icmp6(mac, address, ALL_NODES, body);
};

function solicitation(address: IpAddress, mac: Mac, source: IpAddress | undefined): Buffer {
  const body = neighborBody(SOLICITATION, address, source === undefined ? 24 : 32);
  if (source !== undefined) {
    body.writeUInt8(SOURCE_OPTION, 24);
    body.writeUInt8(1, 25);
    body.set(bytesOfMac(mac), 26);
  }
  return icmp6(mac, source ?? ANY[6], solicitedNodeGroup(address), body);
}

function neighborBody(type: number, target: IpAddress, length: number): Buffer {
  const body = Buffer.alloc(length);
  body.writeUInt8(type, 0);
  body.set(bytesOf(target), 8);
  return body;
}

/** To a group; the checksum is filled in. */
function icmp6(mac: Mac, source: IpAddress, destination: IpAddress, body: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(body.length, 4);
  header.writeUInt8(ICMPV6, 6);
  header.writeUInt8(HOPS, 7);
  header.set(bytesOf(source), 8);
  header.set(bytesOf(destination), 24);
  body.writeUInt16BE(checksum(header.subarray(8), Buffer.from([0, 0, 0, body.length, 0, 0, 0, ICMPV6]), body), 2);
  return ethernet(mac, groupMac(destination), ETHERTYPES.ipv6, Buffer.concat([header, body]));
}

/** RFC 2464. */
const groupMac = (group: IpAddress): Mac =>
  `33:33:${[...bytesOf(group).subarray(12)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

function ethernet(from: Mac, to: Mac, type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(14);
  header.set(bytesOfMac(to), 0);
  header.set(bytesOfMac(from), 6);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, body]);
}

export const bytesOfMac = (mac: Mac): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
export const macOfBytes = (bytes: Buffer): Mac => bytes.toString('hex').replace(/..(?=.)/g, '$&:');

/** The Internet checksum (RFC 1071) over parts of even length. */
function checksum(...parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) for (let at = 0; at < part.length; at += 2) sum += part.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
