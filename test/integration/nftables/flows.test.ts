/** UDP clients that keep their port are led by what is served now, whatever connection tracking remembers. */
import assert from 'node:assert/strict';
import { enterNetns } from '@tombolo/lab/bench/enter-netns.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { NetlinkSocket } from '@tombolo/node-agent/datapath/netlink/socket.ts';
import { listRequest } from '@tombolo/node-agent/datapath/nftables/conntrack-messages.ts';
import { KernelTables, probeFamilies } from '@tombolo/node-agent/datapath/nftables/kernel-tables.ts';
import { NftablesDatapath } from '@tombolo/node-agent/datapath/nftables/nftables.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { frontend, type Place, Rig, route, routes } from './rig.ts';

const SERVICE = frontend('UDP 10.97.0.5:53');
const NODE_PORT = frontend('UDP 0.0.0.0:30053', 'NodePort');
const NODE_PORT_6 = frontend('UDP [::]:30053', 'NodePort');
const [A, B] = ['10.2.0.11:53', '10.2.0.12:53'];
const [A6, B6] = ['[fd02::11]:53', '[fd02::12]:53'];

describe('nftables: flows that connection tracking remembers', () => {
  let rig: Rig;
  let datapath: Datapath;

  beforeEach(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    await rig.serve('back', [`${A}=1`, `${B}=2`, `${A6}=1`, `${B6}=2`], ['-u']);
    datapath = await rig.open();
  });
  afterEach(() => rig?.end());

  /** By a client of always the same port. */
  const ask = (place: Place, address: string, port: number): Promise<string> => rig.udp(place, address, port, 40_000);

  it('a client that began before the Service was known is answered once it is', async () => {
    assert.equal(await ask('pod', '10.97.0.5', 53), 'silence');
    await datapath.apply(routes(route(SERVICE, [A])));
    assert.equal(await ask('pod', '10.97.0.5', 53), '1');
  });

  it('a client that began before a NodePort was known, or had a backend, is answered once it has', async () => {
    assert.equal(await ask('client', '192.0.2.1', 30_053), 'ECONNREFUSED');
    await datapath.apply(routes(route(NODE_PORT, [])));
    assert.equal(await ask('client', '192.0.2.1', 30_053), 'ECONNREFUSED');
    await datapath.apply(routes(route(NODE_PORT, [B])));
    assert.equal(await ask('client', '192.0.2.1', 30_053), '2');
  });

  it('a NodePort that changes in both families at once leads clients of both elsewhere', async () => {
    await datapath.apply(routes(route(NODE_PORT, [A]), route(NODE_PORT_6, [A6])));
    assert.deepEqual([await ask('client', '192.0.2.1', 30_053), await ask('client', 'fd03::1', 30_053)], ['1', '1']);
    await datapath.apply(routes(route(NODE_PORT, [B]), route(NODE_PORT_6, [B6])));
    assert.deepEqual([await ask('client', '192.0.2.1', 30_053), await ask('client', 'fd03::1', 30_053)], ['2', '2']);
  });

  it('what an agent left undone when it died is done by the next', async () => {
    await datapath.apply(routes(route(SERVICE, [A])));
    assert.equal(await ask('pod', '10.97.0.5', 53), '1');
    await datapath.close();
    // One that changes the tables and gets no further.
    const socket = await enterNetns(rig.netns('node'), async () => new NetlinkSocket());
    const tables = new KernelTables(socket, 'tombolo', await probeFamilies(socket, 'tombolo'));
    const dying = new NftablesDatapath(tables, undefined, undefined, { table: 'tombolo', log: silentLogger });
    await dying.replace(routes(route(SERVICE, [B])));
    await dying.close();
    assert.equal(await ask('pod', '10.97.0.5', 53), '1');
    datapath = await rig.open();
    await datapath.replace(routes(route(SERVICE, [B])));
    assert.equal(await ask('pod', '10.97.0.5', 53), '2');
  });

  it('a client that sent while somebody had flushed our tables is answered once they are back', async () => {
    const wanted = routes(route(SERVICE, [A]));
    await datapath.replace(wanted);
    await rig.nft('flush', 'ruleset');
    assert.equal(await ask('pod', '10.97.0.5', 53), 'silence');
    assert.match((await datapath.verify()) ?? '', /changed by nft/);
    await datapath.replace(wanted);
    assert.equal(await ask('pod', '10.97.0.5', 53), '1');
  });

  it('a client stays with its backend though another deletes its flow, and ports are spread over all of them', async () => {
    await datapath.apply(
      routes(route(SERVICE, [A, B]), route(frontend('UDP [fd96::5]:53'), [A6, B6]), route(NODE_PORT, [A, B])),
    );
    for (const [place, address, port] of [
      ['pod', '10.97.0.5', 53],
      ['pod', 'fd96::5', 53],
      ['client', '192.0.2.1', 30_053],
    ] as const) {
      const bytes: string[] = [];
      for (let sender = 40_000; sender < 40_012; sender += 1) {
        const first = await rig.udp(place, address, port, sender);
        for (let again = 0; again < 2; again += 1) {
          await rig.run('node', ['sh', '-c', 'conntrack -D -p udp; conntrack -D -f ipv6 -p udp; true']);
          assert.equal(await rig.udp(place, address, port, sender), first, `${address} from port ${sender}`);
        }
        bytes.push(first);
      }
      assert.deepEqual([...new Set(bytes)].sort(), ['1', '2'], address);
    }
  });

  it('asks for no more than the flows at what changed, however many there are', async () => {
    await datapath.apply(routes(route(SERVICE, [A])));
    const entry = '-p udp -t 100 -s 10.1.0.2 -d 10.9.9.9 --sport $((1024 + i)) --dport 5353';
    await rig.run('node', ['sh', '-c', `i=0; while [ $i -lt 300 ]; do conntrack -I ${entry}; i=$((i + 1)); done`]);
    const socket = await enterNetns(rig.netns('node'), async () => new NetlinkSocket());
    const heard = async (): Promise<number> => {
      let count = 0;
      const { address: destination, port: destinationPort } = SERVICE;
      await socket.ask(listRequest(4, { protocol: 17, destination, destinationPort }), () => {
        count += 1;
      });
      return count;
    };
    assert.equal(await heard(), 0);
    assert.equal(await ask('pod', '10.97.0.5', 53), '1');
    assert.equal(await heard(), 1);
    await socket.close();
  });
}).timeout(30_000);
