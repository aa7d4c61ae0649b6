/**
 * kill -9 at any moment, again and again: no new connection fails, no established one ends, what the kernel holds in
 * between are whole sets, and the next agent brings it to the table with nothing left over.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { waitUntil } from '@tombolo/machine/wait.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { INLINE_BACKENDS } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/layouts.ts';
import { partsOf } from '@tombolo/node-agent/datapath/ebpf/parts.ts';
import { openPinnedMaps } from '@tombolo/node-agent/datapath/ebpf/pinned-maps.ts';
import { recoverTables } from '@tombolo/node-agent/datapath/ebpf/recovery.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { Rig as EbpfRig } from '../ebpf/rig.ts';
import { Rig as NftablesRig } from '../nftables/rig.ts';
import { echoesAll, Talk } from '../packets/talk.ts';
import { changesAt, everyState, FRONTEND, textOf } from './churn.ts';
import { KILLS, killAt, momentOf } from './kills.ts';

/** The table to which all is brought at the end. */
const LAST_STEP = 17;
const AGENT = join(import.meta.dirname, 'agent.ts');

interface Place {
  readonly addresses: readonly string[];
  /** The command that starts the agent, without its arguments. */
  readonly argv: readonly string[];
  /** Where it finds its maps and its control group, if it needs to be told. */
  readonly directories: readonly string[];
  open(): Promise<Datapath>;
  /** Streams that stay. */
  talk(): Promise<Talk>;
  connectOn(): { finish(): Promise<{ connections: number; failures: number; errors: unknown }> };
}

let agent: ChildProcess | undefined;
let opened: Datapath | undefined;

async function letGo(): Promise<void> {
  agent?.kill('SIGKILL');
  await opened?.close();
  opened = undefined;
}

const desiredAt = (step: number, addresses: readonly string[]): Routes =>
  new Map([...changesAt(step, addresses)].flatMap(([id, route]) => (route ? [[id, route] as const] : [])));

const statesOf = (routes: Awaited<ReturnType<Datapath['read']>>): string[] =>
  routes.map(({ frontend, backends }) => `${frontend.address} ${textOf(backends)}`).sort();

async function withOpen<T>(place: Place, body: (datapath: Datapath) => Promise<T>): Promise<T> {
  opened = await place.open();
  const result = await body(opened);
  await letGo();
  return result;
}

/** `check` looks at what the last agent leaves, once it has brought the kernel to a table of its own. */
async function survive(place: Place, kind: string, check: (last: Datapath) => Promise<unknown>): Promise<void> {
  const { addresses, argv, directories } = place;
  const allowed = everyState(addresses);
  await withOpen(place, (first) => first.replace(desiredAt(0, addresses)));
  const talk = await place.talk();
  const answers = await talk.ask();
  const load = place.connectOn();
  for (let round = 0; round < KILLS; round += 1) {
    const command = [...argv, AGENT, kind, `${round * 7}`, addresses.join(), ...directories];
    await killAt(momentOf(round), command, (child) => {
      agent = child;
    });
    for (const { frontend, backends } of await withOpen(place, (next) => next.read())) {
      assert.ok(allowed.get(frontend.address)?.has(textOf(backends)), `${frontend.address}: ${textOf(backends)}`);
    }
  }
  await withOpen(place, async (last) => {
    const desired = desiredAt(LAST_STEP, addresses);
    assert.deepEqual((await last.replace(desired)).failures, []);
    assert.deepEqual(statesOf(await last.read()), statesOf([...desired.values()]));
    assert.equal((await last.replace(desired)).changed, 0);
    const { connections, failures, errors } = await load.finish();
    assert.deepEqual([failures, errors], [0, {}]);
    assert.ok(connections > 100, `${connections} connections`);
    assert.deepEqual(await talk.ask(), answers);
    talk.end();
    await check(last);
  });
}

describe('kill -9 while changes are applied', function () {
  this.timeout(60_000 + KILLS * 30_000);

  it('eBPF: loses no connection and leaves nothing over', async () => {
    const rig = EbpfRig.create();
    try {
      // More than a service's own entry takes.
      const addresses = Array.from({ length: 9 }, (_, i) => `10.200.0.${i + 1}`);
      await rig.start([process.execPath, '-e', echoesAll(addresses.map((address) => `${address}:8080`))]);
      const place: Place = {
        addresses,
        argv: [process.execPath],
        directories: [rig.pinDir, rig.cgroup],
        open: () => rig.open(),
        talk: () => Talk.beginBy(rig.way, 'tcp', FRONTEND, 10),
        connectOn: () => rig.connectOn(['-t', '2', FRONTEND]),
      };
      const held = async () => {
        const maps = openPinnedMaps(layoutDirectory(rig.pinDir));
        assert.ok(maps);
        const { services, partCount, memberCount, backends } = await recoverTables(maps);
        maps.close();
        return [services.size, partCount, memberCount, backends.size];
      };
      const wanted = [...desiredAt(LAST_STEP, addresses).values()];
      const large = wanted.filter(({ backends }) => backends.length > INLINE_BACKENDS);
      const sticky = large.filter(({ sessionAffinitySeconds }) => sessionAffinitySeconds > 0);
      const members = sticky.flatMap(({ backends }) => backends).length;
      const parts = large.reduce((sum, { backends }) => sum + partsOf(backends.length), 0);
      const expected = [wanted.length, parts, members, addresses.length];
      await survive(place, 'ebpf', () =>
        waitUntil('the maps to hold what is served and no more', async () => `${await held()}` === `${expected}`),
      );
    } finally {
      await letGo();
      await rig.end();
    }
  });

  it('nftables: loses no connection and leaves nothing over', async () => {
    const rig = await NftablesRig.create();
    try {
      const addresses = [11, 12, 13, 14].map((end) => `10.2.0.${end}`);
      await rig.start('back', [process.execPath, '-e', echoesAll(addresses.map((address) => `${address}:8080`))]);
      const place: Place = {
        addresses,
        argv: ['nsenter', `--net=/run/netns/${rig.netns('node')}`, process.execPath],
        directories: [],
        open: () => rig.open(),
        talk: () => Talk.begin(rig, 'pod', 'tcp', FRONTEND, 10),
        connectOn: () => rig.connectOn('pod', ['-t', '2', FRONTEND]),
      };
      const contents = async (): Promise<string[]> => {
        const table = await rig.nft('list', 'table', 'ip', 'tombolo');
        // Which clients are remembered is not ours to say.
        const rest = table.replace(/map affinity \{[^}]*\}/, '');
        return rest
          .split(/[,{}\n]/)
          .map((part) => part.trim())
          .filter((part) => part !== '')
          .sort();
      };
      await survive(place, 'nftables', async (last) => {
        const left = await contents();
        await rig.nft('delete', 'table', 'ip', 'tombolo');
        await last.replace(desiredAt(LAST_STEP, addresses));
        assert.deepEqual(left, await contents());
      });
    } finally {
      await letGo();
      await rig.end();
    }
  });
});
