import assert from 'node:assert/strict';
import { bytesOf, ip, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import fc from 'fast-check';
import { announcementsOf, questionFor, solicitedNodeGroup } from './frames.ts';

const MAC = '02:00:5e:00:53:01';

const anyV6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ipFromBytes);

/** RFC 4443, 2.3, over RFC 8200, 8.1: the sum of all 16-bit words, the checksum among them, is all ones. */
function icmp6Sum(frame: Buffer): number {
  const [source, message] = [frame.subarray(22, 54), frame.subarray(54)];
  const pseudo = Buffer.concat([source, Buffer.from([0, 0, message.length >> 8, message.length & 255, 0, 0, 0, 58])]);
  let sum = 0;
  for (const part of [pseudo, message])
    for (let i = 0; i < part.length; i += 2) sum += (part[i] ?? 0) * 256 + (part[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

describe('frames about who has an address', () => {
  it('say it by an ARP request and a reply to everybody (RFC 5227, 3)', () => {
    const hex = announcementsOf(ip('192.0.2.1'), MAC).map((frame) => frame.toString('hex'));
    const head = 'ffffffffffff02005e0053010806' + '000108000604';
    assert.deepEqual(hex, [
      `${head}000102005e005301c0000201000000000000c0000201`,
      `${head}000202005e005301c000020102005e005301c0000201`,
    ]);
  });

  it('ask by an ARP probe: from no address (RFC 5227, 2.1.1)', () => {
    assert.equal(
      questionFor(ip('192.0.2.1'), { mac: MAC }).toString('hex'),
      'ffffffffffff02005e0053010806' + '0001080006040001' + '02005e00530100000000' + '000000000000c0000201',
    );
  });

  it('say it by an unsolicited advertisement to all nodes, which overrides (RFC 4861, 7.2.6)', () => {
    const [frame, ...rest] = announcementsOf(ip('2001:db8::1'), MAC) as [Buffer];
    assert.deepEqual(rest, []);
    const header = '33330000000102005e00530186dd' + '60000000' + '0020' + '3a' + 'ff';
    const addresses = '20010db8000000000000000000000001' + 'ff020000000000000000000000000001';
    assert.equal(frame.subarray(0, 54).toString('hex'), header + addresses);
    assert.equal(frame.subarray(54, 56).toString('hex'), '8800');
    assert.equal(
      frame.subarray(58).toString('hex'),
      '20000000' + '20010db8000000000000000000000001' + '0201' + '02005e005301',
    );
  });

  it('ask as for a duplicate: from no address, to the group of the address, without options (RFC 4862, 5.4.2)', () => {
    const frame = questionFor(ip('2001:db8::12:3456'), { mac: MAC });
    assert.equal(frame.subarray(0, 14).toString('hex'), '3333ff12345602005e00530186dd');
    assert.equal(frame.subarray(22, 54).toString('hex'), `${'00'.repeat(16)}ff0200000000000000000001ff123456`);
    assert.equal(frame.subarray(54, 56).toString('hex'), '8700');
    assert.equal(frame.length, 14 + 40 + 24);
  });

  it('ask from the link-local address, with the link-layer address, where that is known (RFC 4861, 7.2.2)', () => {
    const frame = questionFor(ip('2001:db8::12:3456'), { mac: MAC, linkLocal: ip('fe80::5eff:fe00:5301') });
    assert.equal(frame.subarray(0, 14).toString('hex'), '3333ff12345602005e00530186dd');
    assert.equal(
      frame.subarray(22, 54).toString('hex'),
      'fe80000000000000' + '00005efffe005301' + 'ff0200000000000000000001ff123456',
    );
    assert.equal(
      frame.subarray(58).toString('hex'),
      '00000000' + '20010db8000000000000000000123456' + '0101' + '02005e005301',
    );
  });

  it('have checksums, whatever the address', () => {
    fc.assert(
      fc.property(anyV6, (address) => {
        const askers = [{ mac: MAC }, { mac: MAC, linkLocal: ip('fe80::5eff:fe00:5301') }];
        for (const frame of [...announcementsOf(address, MAC), ...askers.map((each) => questionFor(address, each))])
          assert.equal(icmp6Sum(frame), 0xffff);
      }),
    );
  });

  it('know the group of an address by its last 24 bits (RFC 4291, 2.7.1)', () => {
    assert.equal(solicitedNodeGroup(ip('4037::1:800:200e:8c6c')), 'ff02::1:ff0e:8c6c');
    fc.assert(
      fc.property(anyV6, (address) => {
        const group = Buffer.from(bytesOf(solicitedNodeGroup(address))).toString('hex');
        assert.equal(group, `ff0200000000000000000001ff${Buffer.from(bytesOf(address)).toString('hex').slice(26)}`);
      }),
    );
  });
});
