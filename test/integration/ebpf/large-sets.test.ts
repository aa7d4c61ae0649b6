/** A Service with 10,000 backends, one of which changes: that no connection notices. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { createMap, readElement, updateBatch } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import type { EbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/ebpf-datapath.ts';
import { putWords, TABLES } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { SLOTS_A_PART } from '@tombolo/node-agent/datapath/ebpf/parts.ts';
import { SlotWriter } from '@tombolo/node-agent/datapath/ebpf/slot-writer.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const MANY = 10_000;
const HASH = 1;
/** All of this prefix is one server's. */
const address = (n: number): string => `10.201.${n >> 8}.${n & 255}`;
const web = (from: number) =>
  route(
    '10.96.0.1:80',
    Array.from({ length: MANY }, (_, n) => `${address(from + n)}:8080`),
  );

describe('eBPF datapath: large sets', () => {
  let rig: Rig;
  let datapath: EbpfDatapath | undefined;
  const ip = (...args: readonly string[]): Buffer => execFileSync('ip', ['-n', `${rig.name}-0`, ...args]);

  before(async () => {
    rig = Rig.create();
    ip('route', 'add', 'local', '10.201.0.0/16', 'dev', 'lo');
    await rig.serve('tcp', ['0.0.0.0:8080=1']);
  });
  afterEach(async () => {
    await datapath?.destroy();
    datapath = undefined;
  });
  after(() => rig?.end());

  it('loses no connection while one backend after another is replaced, and uses none that is gone', async () => {
    datapath = await rig.open();
    assert.deepEqual((await datapath.replace(only(web(0)))).failures, []);
    const load = rig.connectOn(['-t', '2', '10.96.0.1:80']);
    for (let gone = 0; gone < 60; gone += 1) {
      assert.deepEqual(await datapath.apply(only(web(gone + 1))), { changed: 1, failures: [] });
      ip('route', 'add', 'unreachable', `${address(gone)}/32`, 'table', 'local');
    }
    const { connections, failures, errors } = await load.finish();
    assert.deepEqual([failures, errors], [0, {}]);
    assert.ok(connections > 100, `${connections} connections`);
    assert.deepEqual((await datapath.read())[0]?.backends, web(60).backends);
    assert.deepEqual(await datapath.replace(only(web(60))), { changed: 0, failures: [] });
  });
});

describe('SlotWriter', () => {
  it('writes a slot where it is, and none that is not there', () => {
    const { valueSize } = TABLES.slots;
    const map = createMap({ type: HASH, keySize: 12, valueSize, maxEntries: 4 });
    const [key, value] = [Buffer.alloc(12), Buffer.alloc(valueSize)];
    const slots = Array.from({ length: SLOTS_A_PART }, (_, i) => 100 + i);
    putWords(key, 0, 7, 2, 3);
    putWords(value, 0, ...slots);
    updateBatch(map, key, value, 1);
    const writer = new SlotWriter(map);
    for (const [place, backend] of [
      [0, 0x01020304],
      [9, 0],
      [15, 0xffffffff],
    ] as const) {
      assert.equal(writer.write(7, 2, 3 * SLOTS_A_PART + place, backend), 0);
      slots[place] = backend;
      putWords(value, 0, ...slots);
      assert.deepEqual(readElement(map, key, valueSize), value);
    }
    assert.equal(writer.write(7, 2, 2 * SLOTS_A_PART, 1), constants.errno.ENOENT);
    putWords(key, 0, 7, 2, 2);
    assert.equal(readElement(map, key, valueSize), undefined);
    writer.close();
    closeSync(map);
  });
});
