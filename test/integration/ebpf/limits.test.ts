/** Many services, too many services, and what the kernel's maps must look like afterwards. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const MANY = 50_000;
const part = (n: number): string => `${n >> 8}.${n & 255}`;

/** Service n at 10.96.(n), each with 3 backends of its own; the last one with a real one. */
function bigTable(shift = 0): Routes {
  return new Map(
    Array.from({ length: MANY }, (_, n) => {
      const own = [1, 2, 3].map((b) => ({ address: ip(`10.${b + shift}.${part(n)}`), port: 8080, clusterId: 1 }));
      const real = [{ address: ip('10.200.0.1'), port: 8080, clusterId: 1 }];
      const frontend = {
        kind: 'ClusterIP' as const,
        address: ip(`10.96.${part(n)}`),
        port: 80,
        protocol: 'TCP' as const,
      };
      const backends = n === MANY - 1 ? real : own;
      return [frontendId(frontend), { frontend, backends, sessionAffinitySeconds: 0 }];
    }),
  );
}

describe('eBPF datapath: limits', () => {
  let rig: Rig;
  let datapath: Datapath | undefined;

  before(async () => {
    rig = Rig.create();
    await rig.serve('tcp', ['10.200.0.1:8080=1', '10.200.0.2:8080=2']);
  });
  afterEach(async () => {
    await datapath?.destroy();
    datapath = undefined;
  });
  after(() => rig?.end());

  it('holds 50,000 services with 3 backends each, switches them all, and finds them again', async () => {
    datapath = await rig.open();
    const started = performance.now();
    assert.deepEqual(await datapath.replace(bigTable()), { changed: MANY, failures: [] });
    console.log(`      50,000 services x 3 backends: ${(performance.now() - started).toFixed(0)} ms`);
    const load = rig.connectOn([`10.96.${part(MANY - 1)}:80`]);
    assert.deepEqual(await datapath.replace(bigTable(3)), { changed: MANY - 1, failures: [] });
    const { connections, failures } = await load.finish();
    assert.ok(connections > 10 && failures === 0, `${failures} of ${connections}`);
    await datapath.close();
    datapath = await rig.open();
    assert.equal((await datapath.read()).length, MANY);
    assert.deepEqual(await datapath.replace(bigTable(3)), { changed: 0, failures: [] });
  }).timeout(120_000);

  it('reports what does not fit and keeps everything else in force', async () => {
    datapath = await rig.open({ sizes: { services: 3, slots: 1, backends: 24 } });
    const one = route('10.96.0.1:80', ['10.200.0.1:8080']);
    const two = route('10.96.0.2:80', ['10.200.0.2:8080']);
    assert.deepEqual((await datapath.replace(only(one, two))).failures, []);
    const wide = route(
      '10.96.0.1:80',
      Array.from({ length: 17 }, (_, n) => `10.200.0.${n + 1}:8080`),
    );
    const third = route('10.96.0.3:80', ['10.200.0.2:8080']);
    const fourth = route('10.96.0.4:80', []);
    const { failures, changed } = await datapath.replace(only(wide, two, third, fourth));
    assert.deepEqual(
      failures.map(({ frontend, reason }) => `${frontend.address}: ${reason}`),
      [
        '10.96.0.1: table "slots" is too small: expected room for 2 more entries: current value is 1 of 1',
        '10.96.0.4: table "services" is too small: expected room for 1 more entries: current value is 0 of 3',
      ],
    );
    assert.equal(changed, 1);
    const { replies } = await rig.connect(['-n', '30', '10.96.0.1:80', '10.96.0.2:80', '10.96.0.3:80']);
    assert.deepEqual(replies, { 1: 10, 2: 20 });
  });

  it('grows and shrinks by setting, under traffic, and knows what it served', async () => {
    const sizes = { services: 3, slots: 16, backends: 12, affinity_ok: 8, affinity: 64 };
    datapath = await rig.open({ sizes });
    const one = route('10.96.0.1:80', ['10.200.0.1:8080']);
    const two = route('10.96.0.2:80', ['10.200.0.2:8080']);
    await datapath.replace(only(one, two));
    const load = rig.connectOn(['10.96.0.1:80', '10.96.0.2:80']);
    for (const services of [1000, 2]) {
      await datapath.close();
      datapath = await rig.open({ sizes: { ...sizes, services } });
      assert.deepEqual(only(...(await datapath.read())), only(one, two));
      assert.equal(datapath.fill?.get('services'), 0);
      assert.deepEqual(await datapath.replace(only(one, two)), { changed: 2, failures: [] });
      assert.equal(datapath.fill?.get('services'), 2 / services);
      assert.equal(await datapath.verify(), undefined);
      assert.deepEqual(readdirSync(rig.pinDir).filter((name) => name.startsWith('v')).length, 1);
    }
    const { connections, failures } = await load.finish();
    assert.ok(connections > 10 && failures === 0, `${failures} of ${connections}`);
  });

  it('knows what it served when it was killed before it had filled maps of other sizes', async () => {
    datapath = await rig.open({ sizes: { services: 3 } });
    const one = route('10.96.0.1:80', ['10.200.0.1:8080']);
    await datapath.replace(only(one));
    for (const services of [4, 4, 5]) {
      await datapath.close();
      datapath = await rig.open({ sizes: { services } });
      assert.deepEqual(await datapath.read(), [one]);
      assert.deepEqual((await rig.connect(['-n', '10', '10.96.0.1:80'])).replies, { 1: 10 });
    }
    const two = route('10.96.0.1:80', ['10.200.0.2:8080']);
    await datapath.replace(only(two));
    assert.deepEqual(await datapath.read(), [two]);
    assert.deepEqual((await rig.connect(['-n', '10', '10.96.0.1:80'])).replies, { 2: 10 });
    assert.deepEqual(readdirSync(rig.pinDir).filter((name) => name.startsWith('v')).length, 1);
  });

  it('makes room by sweeping what an earlier change left', async () => {
    datapath = await rig.open({ sizes: { services: 1, slots: 1, backends: 3 }, sweepDelayMs: 60_000 });
    for (let turn = 0; turn < 4; turn += 1) {
      const to = turn % 2 === 0 ? ['10.200.0.1:8080', '10.200.0.2:8080'] : ['10.200.0.3:8080'];
      assert.deepEqual(await datapath.replace(only(route('10.96.0.1:80', to))), { changed: 1, failures: [] });
    }
    const moved = await datapath.replace(only(route('10.96.0.7:80', ['10.200.0.1:8080'])));
    assert.deepEqual(moved, { changed: 2, failures: [] });
    assert.deepEqual(
      (await datapath.read()).map(({ frontend }) => frontend.address),
      ['10.96.0.7'],
    );
  });

  it('serves a service with 20,000 backends', async () => {
    datapath = await rig.open();
    const all = Array.from({ length: 20_000 }, (_, n) => `10.${1 + (n >> 16)}.${part(n & 0xffff)}:80`);
    const table = only(route('10.96.0.1:80', all, { affinity: 60 }));
    assert.deepEqual(await datapath.replace(table), { changed: 1, failures: [] });
    assert.equal((await datapath.read())[0]?.backends.length, 20_000);
    assert.deepEqual(await datapath.replace(table), { changed: 0, failures: [] });
  });
});
