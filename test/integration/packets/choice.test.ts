/** Whom the C program picks, on the real kernel but without a network: as the model does, fairly, and steadily. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { openPinned, runProgram, writeElement } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import type { EbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/ebpf-datapath.ts';
import { putAddress, TABLE_NAMES, TABLES } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/layouts.ts';
import { PacketPath, setAccepts } from '@tombolo/node-agent/datapath/ebpf/packets/packet-path.ts';
import { openPinnedMaps } from '@tombolo/node-agent/datapath/ebpf/pinned-maps.ts';
import { PACKET_OBJECT } from '@tombolo/node-agent/datapath/ebpf/probe.ts';
import { familyOf, type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { compareRouteBackends, type FrontendRoute, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import fc from 'fast-check';
import { Rig } from '../ebpf/rig.ts';
import { backendFor, type MapBytes } from './model.ts';

const NUMBERS = { TCP: 6, UDP: 17 } as const;
const ETHERNET = 14;
const SYN = 2;

interface Packet {
  readonly client: IpAddress;
  readonly clientPort: number;
  readonly service: IpAddress;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

describe('eBPF packets: whom a new flow gets', () => {
  let rig: Rig;
  let datapath: EbpfDatapath;
  let packets: PacketPath;
  let program: number;

  before(async () => {
    rig = Rig.create();
    datapath = await rig.open();
    // Loaded, and attached nowhere; beside where the datapath looks for what an earlier agent left.
    const pins = join(rig.pinDir, 'unattached');
    const tables = layoutDirectory(rig.pinDir);
    packets = new PacketPath({ directory: pins, tables, objectPath: PACKET_OBJECT, flows: 65_536, log: silentLogger });
    packets.prepare();
    setAccepts(pins, true);
    program = openPinned(join(pins, 'tbl_ether_in')) ?? assert.fail();
    // Everybody is a pod of this node: nobody's address is replaced.
    const pods = openPinned(join(pins, 'local_pods')) ?? assert.fail();
    writeElement(pods, Buffer.alloc(20), Buffer.from([1]));
    closeSync(pods);
  });
  after(async () => {
    closeSync(program);
    packets.remove();
    await packets.close();
    await datapath.destroy();
    await rig.end();
  });

  const give = async (...list: readonly FrontendRoute[]): Promise<void> => {
    const { failures } = await datapath.replace(new Map(list.map((each) => [frontendId(each.frontend), each])));
    assert.deepEqual(failures, []);
  };
  /** Where the program sends it, as the model says it. */
  const sent = (packet: Packet): string | undefined => {
    const bytes = bytesOf(packet);
    const output = Buffer.alloc(bytes.length + 64);
    assert.equal(runProgram(program, bytes, output).errno, 0);
    const [to, port] = destinationOf(output, packet);
    return to === hex(packet.service) && port === packet.port ? undefined : `${to}:${port}`;
  };
  const readMaps = async (): Promise<MapBytes> => {
    const maps = openPinnedMaps(layoutDirectory(rig.pinDir)) ?? assert.fail();
    const all = Object.fromEntries(TABLE_NAMES.map((name) => [name, new Map<string, Buffer>()]));
    for (const name of TABLE_NAMES) {
      const { keySize, valueSize } = TABLES[name];
      const limit = name === 'backends' ? 1_000 : Number.POSITIVE_INFINITY;
      const note = (keys: Buffer, key: number, values: Buffer, value: number): void => {
        all[name]?.set(
          keys.toString('hex', key, key + keySize),
          Buffer.from(values.subarray(value, value + valueSize)),
        );
      };
      await maps.each(name, note, limit);
    }
    maps.close();
    return all as unknown as MapBytes;
  };
  const modelled = (maps: MapBytes, { client, clientPort, service, port, protocol }: Packet): string | undefined =>
    backendFor(maps, {
      ...{ client: hex(client), clientPort, service: hex(service), port, protocol: NUMBERS[protocol] },
    });

  it('as the model says, for any tables, after any changes', async function () {
    this.timeout(60_000);
    let client = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyRoute, { minLength: 1, maxLength: 6 }), async (routes) => {
        await give(...new Map(routes.map((route) => [frontendId(route.frontend), route])).values());
        const maps = await readMaps();
        for (const { frontend } of routes) {
          for (let i = 0; i < 8; i += 1) {
            client += 1;
            const packet = packetTo(frontend, client);
            assert.equal(sent(packet), modelled(maps, packet));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  for (const count of [2, 5, 7, 8, 20, 64, 250]) {
    it(`of ${count} backends, each as often, and one that goes takes only its own flows along`, async () => {
      const all = numbered(count);
      // The model takes its time for many backends.
      const flows = Array.from({ length: count > 20 ? 600 : 3_000 }, (_, i) => packetTo(WEB, 100_000 * count + i));
      await give({ frontend: WEB, backends: all, sessionAffinitySeconds: 0 });
      const before = flows.map(sent);
      const counts = all.map((backend) => before.filter((to) => to === textOf(backend)).length);
      const fair = flows.length / count;
      // Five standard deviations.
      for (const each of counts) assert.ok(Math.abs(each - fair) < 5 * Math.sqrt(fair), `${counts}`);
      const most = counts.indexOf(Math.max(...counts));
      const gone = all[most] ?? assert.fail();
      await give({ frontend: WEB, backends: all.filter((backend) => backend !== gone), sessionAffinitySeconds: 0 });
      const maps = await readMaps();
      const moved = flows.filter((packet, i) => modelled(maps, packet) !== before[i]);
      assert.equal(moved.length, counts[most]);
    });
  }

  it('as often as it has shares, also after small changes of a large set', async () => {
    const [heavy, ...others] = numbered(12);
    assert.ok(heavy);
    const shares = (light: readonly RouteBackend[]) => [...Array(12).fill(heavy), ...light].sort(compareRouteBackends);
    await give({ frontend: WEB, backends: shares(others), sessionAffinitySeconds: 0 });
    await give({ frontend: WEB, backends: shares(others.slice(1)), sessionAffinitySeconds: 0 });
    const flows = Array.from({ length: 3_000 }, (_, i) => packetTo(WEB, 9_000_000 + i));
    const count = flows.map(sent).filter((to) => to === textOf(heavy)).length;
    const fair = (flows.length * 12) / 22;
    assert.ok(Math.abs(count - fair) < 5 * Math.sqrt(fair), `${count}`);
  });

  it('the same on every node, whatever happened there before', async () => {
    const all = numbered(9);
    const flows = Array.from({ length: 500 }, (_, i) => packetTo(WEB, 8_000_000 + i));
    await give({ frontend: WEB, backends: all, sessionAffinitySeconds: 0 });
    const fresh = await readMaps();
    for (let i = 1; i < 9; i += 1)
      await give({ frontend: WEB, backends: all.filter((_, at) => at !== i), sessionAffinitySeconds: 0 });
    await give({ frontend: WEB, backends: all, sessionAffinitySeconds: 0 });
    const used = await readMaps();
    assert.deepEqual(
      flows.map((packet) => modelled(used, packet)),
      flows.map((packet) => modelled(fresh, packet)),
    );
  });
});

const WEB = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' } as const;

const numbered = (count: number): readonly RouteBackend[] =>
  Array.from({ length: count }, (_, i) => ({ address: ip(`10.200.1.${i + 1}`), port: 8080, clusterId: 1 })).sort(
    compareRouteBackends,
  );

const anyRoute: fc.Arbitrary<FrontendRoute> = fc
  .record({
    isIpv6: fc.boolean(),
    frontend: fc.integer({ min: 1, max: 4 }),
    protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
    backends: fc.oneof(
      fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 7 }),
      fc.array(fc.integer({ min: 1, max: 250 }), { minLength: 8, maxLength: 200, size: 'max' }),
    ),
  })
  .map(({ isIpv6, frontend, protocol, backends }) => ({
    frontend: { ...WEB, address: ip(isIpv6 ? `fd96::${frontend}` : `10.96.0.${frontend}`), protocol },
    backends: backends
      .map((n) => ({ address: ip(isIpv6 ? `fd02::${n}` : `10.200.1.${n}`), port: 8000 + (n % 3), clusterId: 1 }))
      .sort(compareRouteBackends),
    sessionAffinitySeconds: 0,
  }));

/** Every number is another client. */
function packetTo({ address, port, protocol }: FrontendRoute['frontend'], number: number): Packet {
  const [high, low] = [(number >> 8) & 0xffff, number & 0xff];
  const client = familyOf(address) === 4 ? `10.${1 + (high >> 8)}.${high & 255}.${low}` : `fd01::${high + 1}:${low}`;
  const clientPort = 1024 + ((number * 7919) % 60_000);
  return { client: ip(client), clientPort, service: address, port, protocol: protocol === 'UDP' ? 'UDP' : 'TCP' };
}

function hex(address: IpAddress): string {
  const bytes = Buffer.alloc(16);
  putAddress(bytes, 0, address);
  return bytes.toString('hex');
}

const textOf = ({ address, port }: RouteBackend): string => `${hex(address)}:${port}`;

function bytesOf({ client, clientPort, service, port, protocol }: Packet): Buffer {
  const isIpv6 = familyOf(service) === 6;
  const header = isIpv6 ? 40 : 20;
  const transport = protocol === 'TCP' ? 20 : 8;
  const packet = Buffer.alloc(ETHERNET + header + transport + 16);
  packet.writeUInt16BE(isIpv6 ? 0x86dd : 0x0800, 12);
  const [from, to] = [hex(client), hex(service)];
  if (isIpv6) {
    packet[ETHERNET] = 0x60;
    packet.writeUInt16BE(transport + 16, ETHERNET + 4);
    packet[ETHERNET + 6] = NUMBERS[protocol];
    packet[ETHERNET + 7] = 64;
    packet.write(from + to, ETHERNET + 8, 'hex');
  } else {
    packet[ETHERNET] = 0x45;
    packet.writeUInt16BE(20 + transport + 16, ETHERNET + 2);
    packet[ETHERNET + 8] = 64;
    packet[ETHERNET + 9] = NUMBERS[protocol];
    packet.write(from.slice(24) + to.slice(24), ETHERNET + 12, 'hex');
  }
  const at = ETHERNET + header;
  packet.writeUInt16BE(clientPort, at);
  packet.writeUInt16BE(port, at + 2);
  if (protocol === 'TCP') {
    packet[at + 12] = 0x50;
    packet[at + 13] = SYN;
  }
  return packet;
}

function destinationOf(packet: Buffer, { service }: Packet): [address: string, port: number] {
  if (familyOf(service) === 6) return [packet.toString('hex', 38, 54), packet.readUInt16BE(56)];
  return [`${'00'.repeat(10)}ffff${packet.toString('hex', 30, 34)}`, packet.readUInt16BE(36)];
}
