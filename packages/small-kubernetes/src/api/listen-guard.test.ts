import assert from 'node:assert/strict';
import { hasDefaultRoute } from './listen-guard.ts';

const V4_HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
const v4 = (destination: string, mask: string, flags = '0003') =>
  `${V4_HEAD}eth0\t${destination}\t0100000A\t${flags}\t0\t0\t0\t${mask}\t0\t0\t0\n`;
const ZERO = '0'.repeat(32);
const v6 = (destination: string, length: string, flags: string, device: string) =>
  `${destination} ${length} ${ZERO} 00 ${ZERO} 00000400 00000001 00000000 ${flags} ${device}\n`;

describe('hasDefaultRoute()', () => {
  const cases: readonly (readonly [name: string, v4: string, v6: string, expected: boolean])[] = [
    ['empty tables', V4_HEAD, '', false],
    ['a default route of IPv4', v4('00000000', '00000000'), '', true],
    ['a subnet of IPv4', v4('0000000A', '00FFFFFF', '0001'), '', false],
    ['a rejecting default route of IPv4', v4('00000000', '00000000', '0201'), '', false],
    ['a default route of IPv6', V4_HEAD, v6(ZERO, '00', '00000003', 'eth0'), true],
    ['the unreachable entry of IPv6 that the kernel keeps', V4_HEAD, v6(ZERO, '00', '00200200', 'lo'), false],
    ['a subnet of IPv6', V4_HEAD, v6(`fd${'0'.repeat(30)}`, '40', '00000001', 'eth0'), false],
  ];
  for (const [name, four, six, expected] of cases) {
    it(`${expected ? 'finds' : 'does not find'} one in ${name}`, () =>
      assert.equal(hasDefaultRoute(four, six), expected));
  }
});
