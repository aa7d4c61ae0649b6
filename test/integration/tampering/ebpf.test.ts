/** Others have root, too: whatever they take away from the socket hooks or their maps is noticed, and put back. */
import assert from 'node:assert/strict';
import { closeSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '@tombolo/machine/command.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import {
  createMap,
  deleteBatch,
  detachLink,
  linkInfo,
  lookupBatch,
  MAP_TYPES,
  mapInfo,
  openPinned,
  pinObject,
  updateBatch,
  updateLink,
} from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { putWords } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/layouts.ts';
import { loadObject } from '@tombolo/node-agent/datapath/ebpf/libbpf.ts';
import { HOOKS } from '@tombolo/node-agent/datapath/ebpf/programs.ts';
import { Rig } from '../ebpf/rig.ts';
import { only, route } from '../ebpf/routes.ts';
import { type Keeper, keep } from './keeper.ts';

const OBJECT = fileURLToPath(new URL('../../../packages/node-agent/build/socket-lb.bpf.o', import.meta.url));
const WEB = '10.96.0.1:80';
const LARGE = '10.96.0.2:80';
const STICKY = '10.96.0.3:80';
const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `10.200.0.${n}:8080`);
/** Within this time after the damage everything is right again; of that, the agent looks every 2 s. */
const BOUND_MS = 5_000;

describe('eBPF datapath: what others do to it', () => {
  let rig: Rig;
  let datapath: Datapath;
  let keeper: Keeper;
  const inPins = (name: string): string => join(layoutDirectory(rig.pinDir), name);

  before(async () => {
    rig = Rig.create();
    await rig.serve(
      'tcp',
      EIGHT.map((address, i) => `${address}=${i + 1}`),
    );
  });
  beforeEach(async () => {
    datapath = await rig.open();
    const routes = [route(WEB, EIGHT.slice(0, 2)), route(LARGE, EIGHT), route(STICKY, EIGHT, { affinity: 600 })];
    keeper = await keep(datapath, only(...routes));
  });
  afterEach(async () => {
    await keeper.stop();
    await datapath.destroy();
  });
  after(() => rig?.end());

  /** All three Services answer. */
  const works = async (): Promise<void> => {
    for (const service of [WEB, LARGE, STICKY]) {
      const { failures, errors } = await rig.connect(['-n', '200', service]);
      assert.deepEqual([service, failures, errors], [service, 0, {}]);
    }
    assert.equal(await datapath.verify(), undefined);
  };

  /** How many of the connections to `service` fail between damage and repair, while others are made all the time. */
  const costs = async (service: string, damage: () => unknown, noticed: RegExp): Promise<number> => {
    const load = rig.connectOn([service]);
    assert.match(await keeper.repairs(damage), noticed);
    const { failures, connections } = await load.finish();
    console.log(`      ${failures} of ${failures + connections} connections failed meanwhile`);
    await works();
    return failures;
  };

  it('finds nothing while nobody does anything', async () => {
    await works();
    await keeper.looks(2);
    assert.equal(await datapath.verify(), undefined);
  }).timeout(BOUND_MS * 4);

  const withPin = (name: string, body: (fd: number) => void): void => {
    const fd = openPinned(inPins(name));
    assert.ok(fd !== undefined);
    body(fd);
    closeSync(fd);
  };

  /** Calls with the first `count` keys of a map. */
  const withKeys = (name: string, body: (map: number, keys: Buffer, count: number) => void): void =>
    withPin(name, (map) => {
      const { keySize, valueSize } = mapInfo(map);
      const [keys, values] = [Buffer.alloc(64 * keySize), Buffer.alloc(64 * valueSize)];
      const { count } = lookupBatch(map, Buffer.alloc(keySize), true, keys, values, 64);
      assert.ok(count > 0);
      body(map, keys, count);
    });

  const emptied = (name: string) => (): void =>
    withKeys(name, (map, keys, count) => assert.equal(deleteBatch(map, keys, count).errno, 0));

  it('detached: one hook', async () => {
    assert.ok((await costs(WEB, () => withPin('link_connect4', detachLink), /^nothing is attached at connect4$/)) > 0);
  });

  it('detached: all hooks', async () => {
    const damage = (): void => {
      for (const { name } of HOOKS) withPin(`link_${name}`, detachLink);
    };
    assert.ok((await costs(WEB, damage, /^nothing is attached at recvmsg4$/)) > 0);
  });

  it('replaced: a program by one of somebody else', async () => {
    const none = new Map<string, number>();
    const sizes = new Map(['services', 'slots', 'backends', 'affinity_ok', 'affinity'].map((n) => [n, 8]));
    const other = loadObject({ path: OBJECT, sizes, existing: none, constants: Buffer.alloc(16) });
    const damage = (): void =>
      withPin('link_connect4', (link) => updateLink(link, other.program('tbl_connect4') ?? -1));
    assert.ok((await costs(WEB, damage, /^another program is attached at connect4$/)) > 0);
    other.close();
  });

  it('unpinned: a link, which costs nothing, and is attached still', async () => {
    const idOf = (): number => {
      let id = 0;
      withPin('link_connect4', (fd) => {
        id = linkInfo(fd).id;
      });
      return id;
    };
    const before = idOf();
    const failures = await costs(WEB, () => unlinkSync(inPins('link_connect4')), /link_connect4 is not pinned$/);
    assert.deepEqual([failures, idOf()], [0, before]);
  });

  it('unpinned: each map, which costs nothing', async function () {
    this.timeout(BOUND_MS * 8);
    for (const name of [
      'services',
      'slots',
      'backends',
      'affinity_ok',
      'affinity',
      'datagram_peers',
      'recent_peers',
      'connected',
    ]) {
      const failures = await costs(WEB, () => unlinkSync(inPins(name)), new RegExp(`${name} is not pinned$`));
      assert.equal(failures, 0, name);
    }
  });

  it('unpinned: a map, and another one put into its place', async () => {
    const damage = (): void => {
      unlinkSync(inPins('services'));
      const map = createMap({ type: MAP_TYPES.array, keySize: 4, valueSize: 4, maxEntries: 1 });
      pinObject(map, inPins('services'));
      closeSync(map);
    };
    assert.equal(await costs(WEB, damage, /services is not pinned$/), 0);
  });

  it('unpinned: everything, with the directory', async () => {
    const damage = (): void => {
      for (const name of readdirSync(inPins(''))) unlinkSync(inPins(name));
      rmdirSync(inPins(''));
    };
    assert.equal(await costs(WEB, damage, /is not pinned$/), 0);
  });

  it('unpinned: the whole bpffs, unmounted', async () => {
    assert.equal(await costs(WEB, () => command(['umount', '-l', rig.pinDir]), /is not pinned$/), 0);
  });

  it('in the maps: all frontends deleted', async () => {
    assert.ok((await costs(WEB, emptied('services'), /^3 of 3 frontends are not as they were in the maps/)) > 0);
  });

  it('in the maps: the slots of a large set deleted', async () => {
    assert.ok((await costs(LARGE, emptied('slots'), /^2 of 3 frontends .* first 10\.96\.0\.[23]:80\/TCP$/)) > 0);
  });

  it('in the maps: the members of a set with affinity deleted', async () => {
    await costs(STICKY, emptied('affinity_ok'), /^1 of 3 frontends .* first 10\.96\.0\.3:80\/TCP$/);
  });

  it('in the maps: a backend overwritten', async () => {
    const damage = (): void =>
      withKeys('backends', (map, keys) => {
        // The first is no backend.
        const values = Buffer.alloc(2 * mapInfo(map).valueSize, 1);
        assert.equal(updateBatch(map, keys.subarray(4), values, 2).errno, 0);
      });
    await costs(WEB, damage, /^[123] of 3 frontends are not as they were/);
  });

  it('in the maps: a slot that leads nowhere', async () => {
    const damage = (): void =>
      withKeys('slots', (map, keys) => {
        const value = Buffer.alloc(mapInfo(map).valueSize);
        putWords(value, 0, 77);
        assert.equal(updateBatch(map, keys, value, 1).errno, 0);
      });
    await costs(LARGE, damage, /^1 of 3 frontends are not as they were/);
  });

  it('in the maps: a frontend that nobody asked for', async () => {
    const key = Buffer.alloc(20);
    key.fill(0xff, 10, 12);
    key.set([10, 96, 0, 99], 12);
    key.writeUInt16BE(80, 16);
    key.writeUInt8(6, 18);
    const damage = (): void =>
      withPin('services', (map) => {
        const value = Buffer.alloc(mapInfo(map).valueSize);
        assert.equal(updateBatch(map, key, value, 1, true).errno, 0);
      });
    assert.equal(await costs(WEB, damage, /first 10\.96\.0\.99:80\/TCP$/), 0);
  });
}).timeout(BOUND_MS * 3);
