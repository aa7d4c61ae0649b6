/**
 * kill -9 at any moment of an agent's life, from its first system call on, while it changes the table all the time: no
 * connection that is made meanwhile fails, and none that was made before ends.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { changesAt, FRONTEND } from '../kill/churn.ts';
import { KILLS, killAt, momentOf } from '../kill/kills.ts';
import { Rig } from '../nftables/rig.ts';
import { PacketNode } from './node.ts';
import { echoes, Talk } from './talk.ts';

const AGENT = fileURLToPath(new URL('../kill/agent.ts', import.meta.url));
const ADDRESSES = [11, 12, 13, 14].map((end) => `10.2.0.${end}`);

describe('eBPF packets: kill -9 while changes are applied', function () {
  this.timeout(60_000 + KILLS * 30_000);
  let rig: Rig;
  let node: PacketNode;

  before(async () => {
    rig = await Rig.create();
    for (const [i, address] of ADDRESSES.entries())
      await rig.start('back', [process.execPath, '-e', echoes(`${address}:8080`, i + 1)]);
    node = new PacketNode(rig);
  });
  after(async () => {
    await node?.end();
    await rig?.end();
  });

  it('no connection fails or ends', async () => {
    const routes = [...changesAt(0, ADDRESSES).values()].filter((route): route is FrontendRoute => route !== undefined);
    await node.start();
    await node.replace(...routes);
    await node.close();
    const talks = await Promise.all([
      Talk.begin(rig, 'pod', 'tcp', FRONTEND, 10),
      Talk.begin(rig, 'client', 'tcp', FRONTEND, 10),
    ]);
    const before = await Promise.all(talks.map((talk) => talk.ask()));
    const loads = [rig.connectOn('pod', [FRONTEND]), rig.connectOn('client', [FRONTEND])];
    for (let round = 0; round < KILLS; round += 1) {
      const place = `--net=/run/netns/${rig.netns('node')}`;
      const agent = [process.execPath, AGENT, 'packets', `${round * 7}`, ADDRESSES.join(), ...node.directories];
      await killAt(momentOf(round), ['nsenter', place, ...agent]);
    }
    for (const load of loads) {
      const { connections, failures, errors } = await load.finish();
      assert.deepEqual([failures, errors], [0, {}]);
      assert.ok(connections > 500, `${connections} connections`);
    }
    assert.deepEqual(await Promise.all(talks.map((talk) => talk.ask())), before);
    for (const talk of talks) talk.end();
    await node.start();
    await node.replace(...routes);
    assert.equal(await node.verify(), null);
  });
});
