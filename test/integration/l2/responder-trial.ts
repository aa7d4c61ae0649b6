/**
 * Runs the responder on so many made-up frames, in the kernel and without any interface, and compares what it does with the
 * oracle: `responder-trial.ts COUNT SEED`. Prints what differed, as JSON; to be run in a network namespace of its own.
 */
import { constants } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { announcementsOf } from '@tombolo/node-agent/announce/l2/frames.ts';
import { Responder } from '@tombolo/node-agent/announce/l2/responder.ts';
import { runProgram } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { bytesOf, familyOf, type IpAddress, ip, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import { type Station, sum, type Verdict, verdictOn } from './neighbor-oracle.ts';

const [count = '', seed = ''] = process.argv.slice(2);
const LOOPBACK = 1;
const REDIRECT = 7;
const NEXT = 0xffff_ffff;
const WHOLE_IPV6 = 54;
const FLOOD = 40_000;

const MACS = ['02:00:5e:00:53:01', '02:00:5e:00:53:02', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00', '33:33:ff:00:00:01'];
const [OWN = '', PEER = ''] = MACS;
const HELD = ['192.0.2.1', '2001:db8::1', '2001:db8::ab:cdef'].map(ip);
const WATCHED = ['192.0.2.2', '2001:db8::2'].map(ip);
const OTHERS = ['192.0.2.9', '2001:db8::9', '0.0.0.0', '::'].map(ip);
const ALL_NODES = ip('ff02::1');
const ALL = [...HELD, ...WATCHED, ...OTHERS];
const station: Station = {
  mac: OWN,
  addresses: new Map([...HELD.map((each) => [each, true] as const), ...WATCHED.map((each) => [each, false] as const)]),
};

/** xorshift32: the same frames for the same seed. */
let state = Number(seed) || 1;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}
const one = <T>(of: readonly T[]): T => of[random(of.length)] as T;
const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const often = <T>(usual: T, others: readonly T[]): T => (random(4) > 0 ? usual : one(others));

const wireOf = (address: IpAddress): Buffer => {
  const bytes = Buffer.from(bytesOf(address));
  return familyOf(address) === 4 ? bytes.subarray(-4) : bytes;
};
const someAddress = (family: 4 | 6): Buffer => wireOf(one(ALL.filter((address) => familyOf(address) === family)));

function someArp(): Buffer {
  const frame = Buffer.alloc(42 + (random(3) === 0 ? 18 : 0));
  frame.set(macBytes(often('ff:ff:ff:ff:ff:ff', MACS)), 0);
  frame.set(macBytes(often(PEER, MACS)), 6);
  frame.write('0806000108000604', 12, 'hex');
  frame.writeUInt16BE(often(1, [0, 2, 3]), 20);
  frame.set(macBytes(often(PEER, MACS)), 22);
  frame.set(someAddress(4), 28);
  frame.set(macBytes(one(MACS)), 32);
  frame.set(someAddress(4), 38);
  return frame;
}

function someNeighborMessage(): Buffer {
  const target = someAddress(6);
  const options = Array.from({ length: often(1, [0, 2, 3, 4, 5]) }, () => {
    const option = Buffer.alloc(8);
    option.writeUInt8(often(one([1, 2]), [14, 0]), 0);
    option.writeUInt8(often(1, [0, 2]), 1);
    option.set(macBytes(often(PEER, MACS)), 2);
    return option;
  });
  const body = Buffer.concat([Buffer.alloc(24), ...options, Buffer.alloc(often(0, [1, 4]))]);
  body.writeUInt8(often(one([135, 136]), [128, 134, 1]), 0);
  body.writeUInt8(often(0, [1]), 1);
  body.writeUInt8(often(0, [0x20, 0x40, 0x60]), 4);
  body.set(target, 8);
  const header = Buffer.alloc(40);
  header.writeUInt8(often(0x60, [0x40, 0x6f]), 0);
  header.writeUInt16BE(often(body.length, [0, 24, body.length + 8]), 4);
  header.writeUInt8(often(58, [0, 17]), 6);
  header.writeUInt8(often(255, [64, 254]), 7);
  header.set(often(someAddress(6), [wireOf(ALL_NODES)]), 8);
  const group = Buffer.from(`ff0200000000000000000001ff${target.subarray(13).toString('hex')}`, 'hex');
  header.set(often(random(2) === 0 ? group : target, [someAddress(6), wireOf(ALL_NODES)]), 24);
  if (random(8) > 0 && body.length % 2 === 0) {
    const pseudo = Buffer.from([0, 0, 0, body.length, 0, 0, 0, 58]);
    body.writeUInt16BE(~sum(header.subarray(8), pseudo, body) & 0xffff, 2);
  }
  const ethernet = Buffer.alloc(14);
  ethernet.set(
    macBytes(
      often(
        `33:33:ff:${target
          .subarray(13)
          .toString('hex')
          .replace(/..(?=.)/g, '$&:')}`,
        MACS,
      ),
    ),
    0,
  );
  ethernet.set(macBytes(often(PEER, MACS)), 6);
  ethernet.writeUInt16BE(0x86dd, 12);
  return Buffer.concat([ethernet, header, body]);
}

/** Of VLAN 7 (IEEE 802.1Q): not this interface's. */
const TAG = Buffer.from('81000007', 'hex');

function someFrame(): Buffer {
  const frame = one([someArp, someNeighborMessage, someNeighborMessage, () => one(announcementsOf(one(HELD), PEER))])();
  const copy = Buffer.from(frame);
  if (random(5) === 0) for (let i = random(4); i >= 0; i--) copy.writeUInt8(random(256), random(copy.length));
  const whole = random(20) === 0 ? Buffer.concat([copy.subarray(0, 12), TAG, copy.subarray(12)]) : copy;
  return random(12) === 0 ? whole.subarray(0, 15 + random(whole.length - 14)) : whole;
}

/** What an answer says; an invalid one says nothing. */
function said(answer: Buffer): Verdict['answer'] | string {
  const mac = (at: number): string =>
    answer
      .subarray(at, at + 6)
      .toString('hex')
      .replace(/..(?=.)/g, '$&:');
  if (mac(6) !== OWN) return 'from another link-layer address';
  if (answer.readUInt16BE(12) === 0x0806) {
    if (answer.subarray(14, 22).toString('hex') !== '0001080006040002' || mac(22) !== OWN) return 'no ARP reply';
    return { to: mac(0), about: ipFromBytes(answer.subarray(28, 32)), told: mac(32) };
  }
  const [ipHeader, message] = [answer.subarray(14, 54), answer.subarray(54)];
  if (ipHeader.readUInt32BE(0) !== 0x6000_0000) return 'no header of ours';
  const isValid = ipHeader[6] === 58 && ipHeader[7] === 255 && ipHeader.readUInt16BE(4) === 32 && message.length === 32;
  const total = sum(ipHeader.subarray(8), Buffer.from([0, 0, 0, 32, 0, 0, 0, 58]), message);
  if (!isValid || total !== 0xffff || message.readUInt16BE(0) !== 0x8800) return 'no advertisement';
  if (message.subarray(24).toString('hex') !== `0201${macBytes(OWN).toString('hex')}`) return 'no link-layer address';
  if (!ipHeader.subarray(8, 24).equals(message.subarray(8, 24))) return 'from another address';
  return { to: mac(0), about: ipFromBytes(message.subarray(8, 24)), told: '', flags: message.readUInt8(4) };
}

const responder = new Responder();
const entries = [...station.addresses].map(([address, answers]) => ({ index: LOOPBACK, address, mac: OWN, answers }));
responder.set(entries);
const wrong: object[] = [];
const [output, claimed] = [Buffer.alloc(256), new Set<string>()];
let answers = 0;
for (let i = 0; i < Number(count); i++) {
  if (i % 10_000 === 0) responder.lease(i % 20_000 === 0 ? 600_000 : 0);
  const isLeased = i % 20_000 < 10_000;
  const frame = someFrame();
  const verdict = verdictOn(frame, station);
  const expected = isLeased ? verdict.answer : undefined;
  const { result, errno, length } = runProgram(responder.program, frame, output);
  // The kernel itself takes no trial of an IP packet without a whole header.
  if (errno === constants.errno.EINVAL && frame.length < WHOLE_IPV6 && expected === undefined) continue;
  const got = result === REDIRECT ? said(output.subarray(0, length)) : undefined;
  if (verdict.claim) claimed.add(`${verdict.claim.address} ${verdict.claim.mac}`);
  if (got !== undefined) answers += 1;
  const isRight = errno === 0 && (result === REDIRECT || result === NEXT) && isDeepStrictEqual(got, expected);
  if (!isRight && wrong.length < 5) wrong.push({ frame: frame.toString('hex'), expected, got, result, errno });
}
const noted = new Set(responder.claims().map(({ address, mac }) => `${address} ${mac}`));
// So many are kept at the most; those that are there were all made.
const invented = [...noted].filter((claim) => !claimed.has(claim));
const missed = claimed.size < 8_000 ? [...claimed].filter((claim) => !noted.has(claim)) : [];
// Somebody claims an address under ever other link-layer addresses.
for (let i = 0; i < FLOOD; i++) {
  const flood = Buffer.from(
    announcementsOf(one(HELD), `02:00:00:${(i + 0x10_0000).toString(16).replace(/..(?=.)/g, '$&:')}`)[0] as Buffer,
  );
  runProgram(responder.program, flood, output);
}
const kept = responder.claims().length;
await responder.close();
process.stdout.write(JSON.stringify({ wrong, answers, kept, counted: claimed.size, invented, missed }));
