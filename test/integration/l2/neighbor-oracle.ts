/**
 * What one who has addresses answers to a frame, and who claims one of them by it: from RFC 826, 5227, 4861 and 4862, and
 * from nothing else. What is malformed is no question and no claim.
 */
import { type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';

export interface Station {
  readonly mac: string;
  /** Whether each is answered for; who claims one is noted in any case. */
  readonly addresses: ReadonlyMap<IpAddress, boolean>;
}

export interface Verdict {
  /** Ethernet destination, ARP or ICMPv6 payload: what it says, not how. */
  readonly answer?: {
    readonly to: string;
    readonly about: IpAddress;
    readonly told: string;
    readonly flags?: number;
  };
  readonly claim?: { readonly address: IpAddress; readonly mac: string };
}

const NOTHING: Verdict = {};
const text = (bytes: Buffer): string => bytes.toString('hex').replace(/..(?=.)/g, '$&:');
const isGroup = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
const isStation = (mac: string): boolean => !isGroup(mac) && mac !== '00:00:00:00:00:00';
const address = (bytes: Buffer): IpAddress => ipFromBytes(bytes);

export function verdictOn(frame: Buffer, station: Station): Verdict {
  const type = frame.readUInt16BE(12);
  if (type === 0x0806) return arpVerdict(frame, station);
  return type === 0x86dd ? neighborVerdict(frame, station) : NOTHING;
}

function arpVerdict(frame: Buffer, { mac, addresses }: Station): Verdict {
  const arp = frame.subarray(14);
  if (arp.length < 28 || arp.subarray(0, 6).toString('hex') !== '000108000604') return NOTHING;
  const [operation, senderMac] = [arp.readUInt16BE(6), text(arp.subarray(8, 14))];
  if (!isStation(senderMac)) return NOTHING;
  const [sender, target] = [address(arp.subarray(14, 18)), address(arp.subarray(24, 28))];
  if (senderMac === mac) return NOTHING;
  const claimed = addresses.has(sender) ? { claim: { address: sender, mac: senderMac } } : NOTHING;
  const to = text(frame.subarray(0, 6));
  const isForUs = isGroup(to) || to === mac;
  // RFC 5227, 2.4: an announcement is contradicted now and then, by the agent, and not answered.
  const isAnnouncement = sender === target;
  if (operation !== 1 || addresses.get(target) !== true || !isForUs || isAnnouncement) return claimed;
  // RFC 826: "to the (new) target hardware address", wherever the frame came from.
  return { ...claimed, answer: { to: senderMac, about: target, told: senderMac } };
}

/** RFC 4861, 7.1.1 and 7.1.2. */
function neighborVerdict(frame: Buffer, { mac, addresses }: Station): Verdict {
  const [ip, from] = [frame.subarray(14), text(frame.subarray(6, 12))];
  if (ip.length < 40 || ip.readUInt8(0) >> 4 !== 6 || ip[6] !== 58 || ip[7] !== 255) return NOTHING;
  const message = ip.subarray(40, 40 + ip.readUInt16BE(4));
  const isWhole = message.length === ip.readUInt16BE(4);
  if (!isWhole || message.length < 24 || message.length % 8 !== 0 || message.length > 56) return NOTHING;
  const [source, destination] = [ip.subarray(8, 24), ip.subarray(24, 40)];
  // RFC 4291, 2.7: no group sends anything.
  if (source[0] === 0xff) return NOTHING;
  if (sum(source, destination, Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58]), message) !== 0xffff) return NOTHING;
  const [type, code, target] = [message[0], message[1], address(message.subarray(8, 24))];
  if ((type !== 135 && type !== 136) || code !== 0 || !addresses.has(target) || !isStation(from)) return NOTHING;
  const option = linkLayerOption(message.subarray(24), type === 135 ? 1 : 2);
  if (option === undefined) return NOTHING;
  if (type === 136) {
    // What answers a question goes to who asked it.
    if (destination[0] === 0xff && (message.readUInt8(4) & 0x40) !== 0) return NOTHING;
    const claimer = option === '' ? from : option;
    return claimer === mac ? NOTHING : { claim: { address: target, mac: claimer } };
  }
  const to = text(frame.subarray(0, 6));
  const solicited = `ff0200000000000000000001ff${message.subarray(21, 24).toString('hex')}`;
  const isAsked = destination.equals(message.subarray(8, 24)) || destination.toString('hex') === solicited;
  if (addresses.get(target) !== true || !(isGroup(to) || to === mac) || from === mac || !isAsked) return NOTHING;
  const isProbe = source.every((byte) => byte === 0);
  // Who has no address asks the group, and must not say where he is to be answered.
  if (isProbe && destination.toString('hex') !== solicited) return NOTHING;
  if (isProbe ? option !== '' : option !== '' && !isStation(option)) return NOTHING;
  if (isProbe) return { answer: { to: '33:33:00:00:00:01', about: target, told: '', flags: 0x20 } };
  return { answer: { to: option === '' ? from : option, about: target, told: '', flags: 0x60 } };
}

/** Of the last option of the kind; empty where there is none; undefined where they are no options. */
function linkLayerOption(options: Buffer, kind: number): string | undefined {
  let found = '';
  for (let at = 0; at < options.length; ) {
    const length = (options[at + 1] ?? 0) * 8;
    if (length === 0) return undefined;
    if (options[at] === kind && length === 8) found = text(options.subarray(at + 2, at + 8));
    at += length;
  }
  return found;
}

export function sum(...parts: readonly Buffer[]): number {
  let total = 0;
  for (const part of parts) for (let i = 0; i < part.length; i += 2) total += part.readUInt16BE(i);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
