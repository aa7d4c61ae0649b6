/** Programs of others at the node's interfaces that see packets before ours do: said, and left alone. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { enterNetns } from '@tombolo/lab/bench/enter-netns.ts';
import { createInterfaceLink, loadProgram } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { ClsactFilters } from '@tombolo/node-agent/datapath/ebpf/packets/clsact.ts';
import { NetworkInterfaces } from '@tombolo/node-agent/datapath/netlink/links.ts';
import { only, route } from '../ebpf/routes.ts';
import { Rig } from '../nftables/rig.ts';
import { PacketNode } from './node.ts';

const SCHEDULER_PROGRAM = 3;
/** Returns -1: whoever is next decides. */
const NEXT = 'b4000000ffffffff' + '9500000000000000';
const TCX_IN = 46;

describe('eBPF packets: other programs at its interfaces', () => {
  let rig: Rig;
  let node: PacketNode;

  before(async () => {
    rig = await Rig.create();
    await rig.serve('back', ['10.2.0.11:8080=1']);
  });
  after(() => rig?.end());
  afterEach(() => node?.end());

  const load = (): number => loadProgram(SCHEDULER_PROGRAM, Buffer.from(NEXT, 'hex'), 'pass packets on');
  const inNode = <T>(body: () => T): T => enterNetns(rig.netns('node'), body);
  const routes = [...only(route('10.96.0.1:80', ['10.2.0.11:8080'])).values()];
  const isServed = async (): Promise<void> =>
    assert.deepEqual((await rig.connect('client', ['-n', '5', '10.96.0.1:80'])).replies, { 1: 5 });

  /** To be called in the node. */
  function firstInterface(): { readonly index: number; readonly name: string } {
    const interfaces = new NetworkInterfaces();
    const found = interfaces.read().find(({ kind }) => kind === 'veth');
    void interfaces.close();
    return found ?? assert.fail();
  }

  it('by links (tcx)', async () => {
    node = new PacketNode(rig, 'tcx');
    await node.start();
    await node.replace(...routes);
    assert.deepEqual(await node.foreign(), []);
    const program = load();
    const [link, name] = inNode(() => {
      const at = firstInterface();
      return [createInterfaceLink(program, at.index, TCX_IN), at.name] as const;
    });
    try {
      assert.match(JSON.stringify(await node.foreign()), new RegExp(`^\\["${name}, in: program \\d+"\\]$`));
      await isServed();
    } finally {
      closeSync(link);
      closeSync(program);
    }
    assert.deepEqual(await node.foreign(), []);
  });

  it('by filters (clsact)', async () => {
    node = new PacketNode(rig, 'clsact');
    await node.start();
    await node.replace(...routes);
    assert.deepEqual(await node.foreign(), []);
    const program = load();
    // Of those with one priority, the last that came is first.
    const [filters, at] = inNode(() => {
      const there = firstInterface();
      const foreign = new ClsactFilters({ handle: 1, name: 'foreign' });
      foreign.attach(there.index, 'out', program);
      return [foreign, there] as const;
    });
    try {
      assert.match(JSON.stringify(await node.foreign()), new RegExp(`^\\["${at.name}, out: program \\d+"\\]$`));
      await isServed();
      filters.detach(at.index, 'out');
      assert.deepEqual(await node.foreign(), []);
    } finally {
      await filters.close();
      closeSync(program);
    }
  });
});
