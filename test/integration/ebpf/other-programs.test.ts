/** What else is at the same hooks: programs of ours from another life, and those of others. */
import assert from 'node:assert/strict';
import { closeSync, constants, copyFileSync, existsSync, openSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createLink, createMap, linkInfo, MAP_TYPES, pinObject } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { LAYOUT_VERSION } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { removeEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { distrustPrograms } from '@tombolo/node-agent/datapath/ebpf/programs.ts';
import { addressOf, bpf } from '@tombolo/node-agent/datapath/ebpf/syscall.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const WEB = '10.96.0.1:80';

describe('eBPF datapath: other programs at its hooks', () => {
  let rig: Rig;

  before(async () => {
    rig = Rig.create();
    await rig.serve('tcp', ['10.200.0.1:8080=1', '10.200.0.2:8080=2']);
  });
  after(() => rig?.end());

  const logged: unknown[] = [];
  const note = (fields: object): void => void logged.push(fields);
  const log: Logger = { ...silentLogger, info: note, warn: note };
  const said = (): unknown[] => logged.splice(0).filter((each) => !('outcome' in (each as object)));

  it('ends those that an agent left which had its pins elsewhere, without losing a connection', async () => {
    const elsewhere = join(rig.directory, 'elsewhere');
    const former = await rig.open({ pinDir: elsewhere });
    await former.replace(only(route(WEB, ['10.200.0.1:8080'])));
    await former.close();
    const load = rig.connectOn([WEB]);
    const datapath = await rig.open({ log });
    assert.deepEqual((await rig.connect(['-n', '50', WEB])).replies, { 1: 50 });
    assert.deepEqual(said(), []);
    await datapath.replace(only(route(WEB, ['10.200.0.2:8080'])));
    assert.deepEqual(said(), [{ links: 8 }]);
    assert.deepEqual((await rig.connect(['-n', '50', WEB])).replies, { 2: 50 });
    const { failures, connections } = await load.finish();
    assert.ok(failures === 0 && connections > 0, `${failures} of ${connections}`);
    removeEbpfDatapath(elsewhere);
    await datapath.destroy();
  });

  describe('of another version, with another layout of the maps', () => {
    const layout = (version: number) => join(rig.pinDir, `v${version}`);
    const layouts = () => readdirSync(rig.pinDir).filter((name) => /^v\d/.test(name));
    const OTHER = 99;

    for (const [from, to, what] of [
      [OTHER, undefined, 'upgrade'],
      [undefined, OTHER, 'downgrade'],
    ] as const) {
      it(`an ${what} loses no connection and no answer on its way, and nothing stays behind`, async () => {
        await rig.serve('udp', ['10.200.0.3:5353=3']);
        const dns = route('10.96.0.1:53', ['10.200.0.3:5353'], { protocol: 'UDP' });
        const former = await rig.open(from === undefined ? {} : { layout: from });
        await former.replace(only(route(WEB, ['10.200.0.1:8080']), dns));
        await former.close();
        const load = rig.connectOn([WEB]);
        const datapath = await rig.open({ log, ...(to !== undefined && { layout: to }) });
        assert.deepEqual((await rig.connect(['-n', '50', WEB])).replies, { 1: 50 });
        const lines = await rig.scriptAround('udp4', ['sendto=10.96.0.1:53', 'wait', 'recv'], async () => {
          await datapath.replace(only(route(WEB, ['10.200.0.2:8080']), dns));
        });
        assert.deepEqual(lines, ['sendto ok', 'wait', 'recv 3 from 10.96.0.1:53']);
        assert.deepEqual((await rig.connect(['-n', '50', WEB])).replies, { 2: 50 });
        const { failures, connections } = await load.finish();
        assert.ok(failures === 0 && connections > 0, `${failures} of ${connections}`);
        assert.deepEqual(layouts(), [`v${to ?? LAYOUT_VERSION}`]);
        said();
        await datapath.destroy();
      });
    }

    it('goes on when our programs could not be put into its place, and gives way the next time', async () => {
      const former = await rig.open({ layout: OTHER });
      await former.replace(only(route(WEB, ['10.200.0.1:8080'])));
      await former.close();
      const objectPath = join(rig.directory, 'copy.bpf.o');
      copyFileSync(new URL('../../../packages/node-agent/build/socket-lb.bpf.o', import.meta.url), objectPath);
      const datapath = await rig.open({ log, objectPath });
      renameSync(objectPath, `${objectPath}.away`);
      const wanted = only(route(WEB, ['10.200.0.2:8080']));
      await assert.rejects(datapath.replace(wanted), /ENOENT/);
      assert.deepEqual((await rig.connect(['-n', '20', WEB])).replies, { 1: 20 });
      renameSync(`${objectPath}.away`, objectPath);
      assert.deepEqual((await datapath.replace(wanted)).failures, []);
      assert.deepEqual((await rig.connect(['-n', '20', WEB])).replies, { 2: 20 });
      assert.deepEqual([layouts(), await datapath.verify()], [[`v${LAYOUT_VERSION}`], undefined]);
      said();
      await datapath.destroy();
    });

    it('leaves alone what an agent still holds, and says so', async () => {
      const former = await rig.open({ layout: OTHER });
      const datapath = await rig.open({ log });
      await datapath.replace(only(route(WEB, ['10.200.0.2:8080'])));
      assert.match(String((said().at(-1) as { error: unknown }).error), /another process holds .*v99$/);
      assert.ok(existsSync(layout(OTHER)));
      await datapath.close();
      await former.close();
    });

    it('takes the pins of all of them away with it', async () => {
      assert.equal(layouts().length, 2);
      removeEbpfDatapath(rig.pinDir);
      assert.ok(!existsSync(rig.pinDir));
      assert.deepEqual((await rig.connect(['-n', '5', WEB])).replies, {});
    });

    it('removes pins that only another version had in the same layout', async () => {
      await (await rig.open()).close();
      const stray = createMap({ type: MAP_TYPES.array, keySize: 4, valueSize: 4, maxEntries: 1 });
      const path = join(layout(LAYOUT_VERSION), 'reverse');
      pinObject(stray, path);
      distrustPrograms(layout(LAYOUT_VERSION));
      const datapath = await rig.open();
      assert.ok(!existsSync(path));
      await datapath.destroy();
    });
  });

  it('says what of others runs before it, and leaves it alone', async () => {
    const cgroup = openSync(rig.cgroup, constants.O_RDONLY | constants.O_DIRECTORY);
    const others = [10, 29].map((attachType) => attachOther(cgroup, attachType));
    const datapath = await rig.open({ log });
    others.push(attachOther(cgroup, 11));
    try {
      await datapath.replace(only(route(WEB, ['10.200.0.2:8080'])));
      assert.deepEqual(datapath.foreign(), ['getpeername4: other', 'connect4: other']);
      assert.equal(linkInfo(others[0] ?? -1).attachType, 10);
      assert.deepEqual((await rig.connect(['-n', '5', WEB])).replies, { 2: 5 });
      for (const fd of others.splice(0)) closeSync(fd);
      assert.deepEqual(datapath.foreign(), []);
    } finally {
      for (const fd of [...others, cgroup]) closeSync(fd);
      await datapath.destroy();
    }
  });

  it('says so when one of them translates first: what that chose is left as it is', async () => {
    const cgroup = openSync(rig.cgroup, constants.O_RDONLY | constants.O_DIRECTORY);
    const other = attachOther(cgroup, 10, leadingTo('10.200.0.1', 8080));
    const datapath = await rig.open({ log });
    try {
      await datapath.replace(only(route(WEB, ['10.200.0.2:8080'])));
      assert.deepEqual(datapath.foreign(), ['connect4: other']);
      assert.deepEqual((await rig.connect(['-n', '5', WEB])).replies, { 1: 5 });
    } finally {
      for (const fd of [other, cgroup]) closeSync(fd);
      await datapath.destroy();
    }
  });
});

/** Returns 1, which lets everything pass. */
const PASS = 'b700000001000000' + '9500000000000000';

/** Whatever was asked for leads there: what another service proxy's program does at connect(). */
function leadingTo(address: string, port: number): string {
  const instruction = (code: number, registers: number, offset: number, value: Buffer): string =>
    Buffer.concat([Buffer.from([code, registers, offset, 0]), value]).toString('hex');
  const [ip4, port16] = [Buffer.from(address.split('.').map(Number)), Buffer.alloc(4)];
  port16.writeUInt16BE(port);
  const move = (value: Buffer) => instruction(0xb4, 0x02, 0, value);
  const store = (offset: number) => instruction(0x63, 0x21, offset, Buffer.alloc(4));
  // user_ip4 and user_port of bpf_sock_addr.
  return move(ip4) + store(4) + move(port16) + store(24) + PASS;
}

/** A program named `other` at one of the hooks. */
function attachOther(cgroup: number, attachType: number, instructions = PASS): number {
  const code = Buffer.from(instructions, 'hex');
  const license = Buffer.from('GPL\0');
  const attributes = Buffer.alloc(144);
  attributes.writeUInt32LE(18, 0); // BPF_PROG_TYPE_CGROUP_SOCK_ADDR
  attributes.writeUInt32LE(code.length / 8, 4);
  attributes.writeBigUInt64LE(addressOf(code), 8);
  attributes.writeBigUInt64LE(addressOf(license), 16);
  attributes.write('other', 48);
  attributes.writeUInt32LE(attachType, 68);
  const { value, errno } = bpf(5, attributes, code, license);
  assert.equal(errno, 0);
  const link = createLink(value, cgroup, attachType);
  closeSync(value);
  return link;
}
