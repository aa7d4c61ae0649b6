/**
 * What happens to connections, and to the datapath itself, while time goes on: backends and services come and go, the agent
 * dies, interfaces appear, others damage what is in the kernel, another configuration takes over.
 */
import assert from 'node:assert/strict';
import { closeSync, existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  deleteElement,
  detachLink,
  keysOf,
  openPinned,
  readElement,
} from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { PACKETS_LAYOUT } from '@tombolo/node-agent/datapath/ebpf/packets/packet-path.ts';
import { RANGE_KEY } from '@tombolo/node-agent/datapath/ebpf/packets/source-ranges.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { four, frontend, Rig, route, routes } from '../nftables/rig.ts';
import { PacketNode } from './node.ts';
import { echoes, Talk } from './talk.ts';

const TCP = frontend('TCP 10.96.0.1:80');
const UDP = frontend('UDP 10.96.0.1:80');
const NODE_PORT = frontend('TCP 0.0.0.0:30080', 'NodePort');
const BALANCED = frontend('TCP 10.97.0.1:80', 'LoadBalancer');

describe('eBPF packets: as time goes on', () => {
  let rig: Rig;
  let node: PacketNode;
  const talks: Talk[] = [];

  before(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    const numbered = four().map((address, i) => `${address}=${i + 1}`);
    await rig.serve('back', numbered, ['-u']);
    // Servers that go on answering, unlike those of connect.c.
    for (const [i, address] of four().entries())
      await rig.start('back', [process.execPath, '-e', echoes(address, i + 1)]);
  });
  beforeEach(async () => {
    node = new PacketNode(rig);
    await node.start();
  });
  afterEach(async () => {
    for (const talk of talks.splice(0)) talk.end();
    await node.end();
  });
  after(() => rig?.end());

  const talk = async (kind: 'tcp' | 'udp', place: 'pod' | 'client', target: string, count: number): Promise<Talk> => {
    const begun = await Talk.begin(rig, place, kind, target, count);
    talks.push(begun);
    return begun;
  };
  const guarded = { ...route(BALANCED, four()), sourceRanges: [cidr('192.0.2.0/24')] };
  const all = [...[TCP, NODE_PORT, UDP].map((front) => route(front, four())), guarded];

  it('streams go on to a backend that is taken out, and new ones do not go there', async () => {
    await node.replace(...all);
    const [inside, outside] = [
      await talk('tcp', 'pod', '10.96.0.1:80', 20),
      await talk('tcp', 'client', '192.0.2.1:30080', 20),
    ];
    const before = [await inside.ask(), await outside.ask()];
    assert.ok(before.every((answers) => new Set(answers).size > 1));
    await node.replace(...[TCP, NODE_PORT, UDP].map((front) => route(front, four().slice(0, 1))));
    assert.deepEqual([await inside.ask(), await outside.ask()], before);
    const later = await talk('tcp', 'pod', '10.96.0.1:80', 20);
    assert.deepEqual(new Set(await later.ask()), new Set(['1']));
  });

  it('streams go on without their service', async () => {
    await node.replace(...all);
    const begun = await talk('tcp', 'pod', '10.96.0.1:80', 5);
    const before = await begun.ask();
    await node.replace();
    assert.deepEqual(await begun.ask(), before);
  });

  it('datagrams stay with their backend while it is one, and move when it is not', async () => {
    await node.replace(...all);
    const senders = await talk('udp', 'pod', '10.96.0.1:80', 200);
    const before = await senders.ask();
    assert.equal(new Set(before).size, 4);
    await node.replace(...[TCP, NODE_PORT, UDP].map((front) => route(front, four().slice(0, 3))));
    const after = await senders.ask();
    const moved = before.filter((backend, i) => after[i] !== backend);
    assert.deepEqual(new Set(moved), new Set(['4']));
    assert.ok(!after.includes('4'));
    await node.replace(...all);
    assert.deepEqual(await senders.ask(), after, 'one that comes takes none away');
  });

  it('those of a backend that goes are spread over the others, and those of others stay, whatever was known of them', async () => {
    await node.replace(...all);
    const mapping = async (): Promise<readonly string[]> => {
      const senders = await Talk.begin(rig, 'pod', 'udp', '10.96.0.1:80', 300, 20_000);
      const answers = await senders.ask();
      senders.end();
      return answers;
    };
    const before = await mapping();
    // Another agent, that knows of no flow.
    await node.end();
    node = new PacketNode(rig);
    await node.start();
    await node.replace(route(UDP, four().slice(0, 3)));
    const after = await mapping();
    const moved = before.filter((backend, i) => after[i] !== backend);
    assert.deepEqual(new Set(moved), new Set(['4']));
    const received = ['1', '2', '3'].map((byte) => after.filter((to, i) => to === byte && before[i] === '4').length);
    assert.ok(
      received.every((count) => count > 5),
      `${received}`,
    );
  });

  it('affinity holds for a client, whatever its port, and leads elsewhere once its backend is out', async () => {
    await node.replace(route(TCP, four(), 600));
    const first = new Set(await (await talk('tcp', 'pod', '10.96.0.1:80', 10)).ask());
    assert.equal(first.size, 1);
    const gone = Number([...first][0]);
    await node.replace(
      route(
        TCP,
        four().filter((_, i) => i + 1 !== gone),
        600,
      ),
    );
    const second = new Set(await (await talk('tcp', 'pod', '10.96.0.1:80', 10)).ask());
    assert.equal(second.size, 1);
    assert.notDeepEqual(second, first);
  });

  it('an agent that is killed, at any time, is not noticed', async () => {
    await node.replace(...all);
    const begun = [await talk('tcp', 'pod', '10.96.0.1:80', 10), await talk('tcp', 'client', '192.0.2.1:30080', 10)];
    const before = await Promise.all(begun.map((each) => each.ask()));
    const load = rig.connectOn('client', ['192.0.2.1:30080']);
    const inner = rig.connectOn('pod', ['10.96.0.1:80']);
    for (let i = 0; i < 5; i += 1) {
      await node.kill();
      await node.start();
      await node.replace(...all);
      assert.equal(await node.verify(), null);
    }
    for (const each of [load, inner]) {
      const { failures, errors, connections } = await each.finish();
      assert.deepEqual([failures, errors], [0, {}]);
      assert.ok(connections > 1000);
    }
    assert.deepEqual(await Promise.all(begun.map((each) => each.ask())), before);
  });

  it('no connection fails while the backends are replaced all the time', async () => {
    await node.replace(...all);
    const load = rig.connectOn('client', ['192.0.2.1:30080']);
    const inner = rig.connectOn('pod', ['10.96.0.1:80']);
    for (let i = 0; i < 500; i += 1) {
      const some = four().filter((_, at) => ((i % 15) + 1) & (1 << at));
      await node.set(route(TCP, some), route(NODE_PORT, some));
    }
    for (const each of [load, inner]) {
      const { failures, errors } = await each.finish();
      assert.deepEqual([failures, errors], [0, {}]);
    }
  });

  it('a pod that comes is served once its interface was seen', async () => {
    await node.replace(...all);
    const late = await rig.addPod('late', '10.1.7.1', '10.1.7.2');
    await node.refresh();
    assert.equal(await node.verify(), null);
    const { failures, errors } = await rig.connect(late, ['-n', '100', '10.96.0.1:80']);
    assert.deepEqual([failures, errors], [0, {}]);
  });

  it('pods at one bridge reach each other through a service, though the node does not see their answers', async () => {
    await rig.addBridge('10.1.9.1', [
      ['left', '10.1.9.2'],
      ['right', '10.1.9.3'],
    ]);
    await rig.serve('right', ['10.1.9.3:8080=5']);
    await node.refresh();
    await node.replace(route(TCP, ['10.1.9.3:8080']), route(NODE_PORT, ['10.1.9.3:8080']));
    for (const [place, target] of [
      ['left', '10.96.0.1:80'],
      ['left', '10.1.9.1:30080'],
      ['right', '10.96.0.1:80'],
      ['client', '192.0.2.1:30080'],
    ] as const) {
      const { failures, errors, replies } = await rig.connect(place, ['-n', '100', target]);
      assert.deepEqual([place, target, failures, errors, replies], [place, target, 0, {}, { 5: 100 }]);
    }
  });

  it('a port that a client was given may be had by somebody else, towards the same backend', async () => {
    const UDP_PORT = frontend('UDP 0.0.0.0:30081', 'NodePort');
    await node.replace(route(UDP_PORT, four()));
    const begun = await talk('udp', 'client', '192.0.2.1:30081', 20);
    const before = await begun.ask();
    const given = portsGiven(join(node.pinDir, `packets-v${PACKETS_LAYOUT}`, 'datagrams'));
    assert.ok(given.length >= 20);
    for (const { backend, port } of given.slice(0, 5)) {
      const end = Number(backend.split('.').at(-1));
      assert.equal(await rig.udp('node', backend, 8080, port), String(end - 10));
      assert.deepEqual(await begun.ask(), before);
    }
  });

  it('streams go on when there is to be room for more flows', async () => {
    await node.replace(...all);
    const begun = [await talk('tcp', 'pod', '10.96.0.1:80', 10), await talk('tcp', 'client', '192.0.2.1:30080', 10)];
    const before = await Promise.all(begun.map((each) => each.ask()));
    await node.close();
    await node.start({ flows: 100_000 });
    await node.replace(...all);
    assert.equal(await node.verify(), null);
    assert.deepEqual(await Promise.all(begun.map((each) => each.ask())), before);
  });

  it('clients from outside get in by the source ranges of now, whatever was there before', async () => {
    const at = (...ranges: readonly string[]) => ({ ...route(BALANCED, four()), sourceRanges: ranges.map(cidr) });
    const ours = '192.0.2.0/24';
    const connect = ['timeout', '2', 'bash', '-c', '</dev/tcp/10.97.0.1/80'];
    const isAnswered = (): Promise<boolean> =>
      rig.run('client', connect).then(
        () => true,
        () => false,
      );
    await node.replace(at(ours));
    assert.ok(await isAnswered());
    await node.set(at('198.51.100.0/24'));
    assert.ok(!(await isAnswered()));
    await node.set(at('198.51.100.0/24', ours));
    assert.ok(await isAnswered());
    await node.set(route(BALANCED, four()));
    assert.ok(await isAnswered());
    await node.set(at('198.51.100.0/24'));
    assert.ok(!(await isAnswered()));
    // What is found after a crash belongs to nobody any more, or to another Service that was given the address.
    await node.set(at(ours));
    await node.kill();
    await node.start();
    await node.replace(at('198.51.100.0/24'));
    assert.ok(!(await isAnswered()));
    await node.set(at(ours));
    await node.kill();
    await node.start();
    await node.replace();
    withPinned(join(node.pinDir, `packets-v${PACKETS_LAYOUT}`, 'source_ranges'), (map) =>
      assert.deepEqual(keysOf(map, RANGE_KEY), []),
    );
  });

  describe('repairs', () => {
    const pins = () => join(node.pinDir, `packets-v${PACKETS_LAYOUT}`);
    const damages: readonly [string, RegExp, () => Promise<unknown>][] = [
      ['a link that was taken away', /nothing is attached at/, async () => detachPinned(join(pins(), anyLink(pins())))],
      ['an unpinned link', /nothing is attached at/, async () => unlinkSync(join(pins(), anyLink(pins())))],
      ['an unpinned map', /streams is not pinned/, async () => unlinkSync(join(pins(), 'streams'))],
      ['an unpinned program', /tbl_ether_in is not pinned/, async () => unlinkSync(join(pins(), 'tbl_ether_in'))],
      ['prefixes of pods', /local_pods/, async () => emptyMap(join(pins(), 'local_pods'), 20)],
      ['addresses of the node', /node_addresses/, async () => emptyMap(join(pins(), 'node_addresses'), 16)],
      ['ways out', /exits/, async () => emptyMap(join(pins(), 'exits'), 8)],
      ['source ranges', /source ranges/, async () => emptyMap(join(pins(), 'source_ranges'), RANGE_KEY)],
    ];
    for (const [what, said, damage] of damages) {
      it(what, async () => {
        await node.replace(...all);
        const begun = await talk('tcp', 'client', '192.0.2.1:30080', 5);
        const before = await begun.ask();
        await damage();
        assert.match(String(await node.verify()), said);
        await node.replace(...all);
        assert.equal(await node.verify(), null);
        assert.deepEqual(await begun.ask(), before);
        const { failures, errors } = await rig.connect('client', ['-n', '50', '192.0.2.1:30080']);
        assert.deepEqual([failures, errors], [0, {}]);
      });
    }
  });

  describe('beside nftables', () => {
    it('leaves it the streams that it began, and what it knows of who may ask', async () => {
      await node.replace();
      const nftables = await rig.open([cidr('10.1.0.0/24')]);
      const closed = { ...guarded, sourceRanges: [cidr('198.51.100.0/24')] };
      await nftables.replace(routes(route(TCP, four()), closed));
      const begun = await talk('tcp', 'pod', '10.96.0.1:80', 10);
      const before = await begun.ask();
      await node.replace(route(TCP, four()), closed);
      assert.deepEqual(await begun.ask(), before);
      await assert.rejects(talk('tcp', 'client', '10.97.0.1:80', 1), /silence/);
      await nftables.replace(routes(route(TCP, four()), guarded));
      assert.equal((await (await talk('tcp', 'client', '10.97.0.1:80', 4)).ask()).length, 4);
      await nftables.destroy();
    });

    it('an agent that leaves packets to it lets eBPF go on with what it began, until that ends', async () => {
      await node.replace(...all);
      const begun = await talk('tcp', 'client', '192.0.2.1:30080', 10);
      const before = await begun.ask();
      await node.close();
      const nftables = await rig.open([cidr('10.1.0.0/24')]);
      await nftables.replace(routes(...all));
      await node.start({ packets: 'no' });
      await node.replace(...all);
      assert.deepEqual(await begun.ask(), before);
      const { failures } = await rig.connect('client', ['-n', '50', '192.0.2.1:30080']);
      assert.equal(failures, 0);
      const pins = join(node.pinDir, `packets-v${PACKETS_LAYOUT}`);
      assert.ok(existsSync(pins));
      for (const name of ['streams', 'datagrams']) emptyMap(join(pins, name), 40); // As if a day went by.
      while (existsSync(pins)) await node.refresh();
      await nftables.destroy();
    });
  });
});

/** As bpf/layout.h has them: what comes in from a backend for a port of the node. */
function portsGiven(path: string): readonly { readonly backend: string; readonly port: number }[] {
  const [INWARD, FLOW] = [0, 56];
  const given: { backend: string; port: number }[] = [];
  withPinned(path, (map) => {
    for (const key of keysOf(map, 40)) {
      const value = readElement(map, key, FLOW);
      if (key[37] !== INWARD || value?.readUInt32LE(36) !== 0) continue;
      given.push({ backend: key.subarray(12, 16).join('.'), port: key.readUInt16BE(34) });
    }
  });
  return given;
}

const anyLink = (directory: string): string => readdirSync(directory).find((name) => name.startsWith('link_')) ?? '';

function withPinned(path: string, body: (fd: number) => void): void {
  const fd = openPinned(path);
  if (fd === undefined) throw new Error(`Nothing is pinned at ${path}`);
  body(fd);
  closeSync(fd);
}

const detachPinned = (path: string): void => withPinned(path, detachLink);
const emptyMap = (path: string, keySize: number): void =>
  withPinned(path, (map) => {
    for (const key of keysOf(map, keySize)) deleteElement(map, key);
  });
