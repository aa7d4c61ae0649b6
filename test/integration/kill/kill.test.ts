/**
 * kill -9 in the middle of a change, again and again: no connection fails, what the kernel holds in between are whole
 * sets, and the next agent brings it to the table with nothing left over.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { waitUntil } from '@tombolo/devcluster/machine/wait.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { openPinnedMaps } from '@tombolo/node-agent/datapath/ebpf/pinned-maps.ts';
import { recoverTables } from '@tombolo/node-agent/datapath/ebpf/recovery.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { Rig as EbpfRig } from '../ebpf/rig.ts';
import { Rig as NftablesRig } from '../nftables/rig.ts';
import { changesAt, everyState, FRONTEND, textOf } from './churn.ts';

const ROUNDS = 12;
const AGENT = join(import.meta.dirname, 'agent.ts');

interface Place {
  readonly addresses: readonly string[];
  /** The command that starts the agent, without its arguments. */
  readonly argv: readonly string[];
  open(): Promise<Datapath>;
  connectOn(): { finish(): Promise<{ connections: number; failures: number; errors: unknown }> };
}

let agent: ChildProcess | undefined;
afterEach(() => void agent?.kill('SIGKILL'));

/** Starts an agent and kills it somewhere after it has said that many steps. */
async function killAfter(steps: number, argv: readonly string[]): Promise<void> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  agent = child;
  let heard = 0;
  child.stdout.on('data', (part) => {
    heard += String(part).split('\n').length - 1;
    if (heard >= steps) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL');
}

const desiredAt = (step: number, addresses: readonly string[]): Routes =>
  new Map([...changesAt(step, addresses)].flatMap(([key, routes]) => (routes ? [[key, routes] as const] : [])));

const statesOf = (routes: Awaited<ReturnType<Datapath['read']>>): string[] =>
  routes.map(({ frontend, backends }) => `${frontend.address} ${textOf(backends)}`).sort();

/** Returns the datapath that was opened last, brought to a table that it was not told before. */
async function survive(place: Place, kind: 'ebpf' | 'nftables', extra: readonly string[]): Promise<Datapath> {
  const { addresses, argv } = place;
  const allowed = everyState(addresses);
  const first = await place.open();
  await first.replace(desiredAt(0, addresses));
  await first.close();
  const load = place.connectOn();
  for (let round = 0; round < ROUNDS; round += 1) {
    await killAfter(1 + (round % 5), [...argv, AGENT, kind, `${round * 7}`, addresses.join(), ...extra]);
    const looking = await place.open();
    for (const { frontend, backends } of await looking.read()) {
      assert.ok(allowed.get(frontend.address)?.has(textOf(backends)), `${frontend.address}: ${textOf(backends)}`);
    }
    await looking.close();
  }
  const last = await place.open();
  const desired = desiredAt(17, addresses);
  assert.deepEqual((await last.replace(desired)).failures, []);
  const wanted = [...desired.values()].flat();
  assert.deepEqual(
    statesOf(await last.read()),
    statesOf(wanted.flatMap(({ frontends, backends }) => frontends.map((frontend) => ({ frontend, backends })))),
  );
  assert.deepEqual((await last.replace(desired)).changed, 0);
  const { connections, failures, errors } = await load.finish();
  assert.deepEqual([failures, errors], [0, {}]);
  assert.ok(connections > 100, `${connections} connections`);
  return last;
}

describe('kill -9 while changes are applied', function () {
  this.timeout(120_000);

  it('eBPF: loses no connection and leaves nothing over', async () => {
    const rig = EbpfRig.create();
    try {
      // More than a service's own entry takes.
      const addresses = Array.from({ length: 9 }, (_, i) => `10.200.0.${i + 1}`);
      await rig.serve(
        'tcp',
        addresses.map((address, i) => `${address}:8080=${i + 1}`),
      );
      const place: Place = {
        addresses,
        argv: [process.execPath],
        open: () => rig.open(),
        connectOn: () => rig.connectOn(['-t', '2', FRONTEND]),
      };
      const last = await survive(place, 'ebpf', [rig.pinDir, rig.cgroup]);
      const garbage = async (): Promise<boolean> => {
        const maps = openPinnedMaps(layoutDirectory(rig.pinDir));
        assert.ok(maps);
        const tables = await recoverTables(maps);
        maps.close();
        return tables.hasGarbage;
      };
      await waitUntil('the maps to hold what is served and no more', async () => !(await garbage()));
      await last.destroy();
    } finally {
      await rig.end();
    }
  });

  it('nftables: loses no connection and leaves nothing over', async () => {
    const rig = await NftablesRig.create();
    try {
      const addresses = [11, 12, 13, 14].map((end) => `10.2.0.${end}`);
      await rig.serve(
        'back',
        addresses.map((address, i) => `${address}:8080=${i + 1}`),
      );
      const place: Place = {
        addresses,
        argv: ['nsenter', `--net=/run/netns/${rig.netns('node')}`, process.execPath],
        open: () => rig.open(),
        connectOn: () => rig.connectOn('pod', ['-t', '2', FRONTEND]),
      };
      const last = await survive(place, 'nftables', []);
      await last.destroy();
    } finally {
      await rig.end();
    }
  });
});
