import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, Routes } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { MemoryDatapath, MemoryKernel } from './memory.fixture.ts';

const clusterIp = (address: string, port = 80): Frontend => ({
  kind: 'ClusterIP',
  address: ip(address),
  port,
  protocol: 'TCP',
});
const route = (frontend: Frontend, ...backends: readonly string[]): FrontendRoute => ({
  frontend,
  backends: backends.map((address) => ({ address: ip(address), port: 8080, clusterId: 1 })),
  sessionAffinitySeconds: 0,
});
const one = (frontend: Frontend, ...backends: readonly string[]): Routes =>
  new Map([[frontendId(frontend), route(frontend, ...backends)]]);

describe('MemoryDatapath', () => {
  const vip = clusterIp('10.96.0.1');

  it('serves what it was told and counts real changes only', async () => {
    const datapath = new MemoryDatapath();
    assert.equal((await datapath.replace(one(vip, '10.1.0.1'))).changed, 1);
    assert.equal((await datapath.replace(one(vip, '10.1.0.1'))).changed, 0);
    assert.equal((await datapath.apply(one(vip, '10.1.0.1', '10.1.0.2'))).changed, 1);
    assert.deepEqual(datapath.kernel.backendsOf(vip), ['10.1.0.1:8080', '10.1.0.2:8080']);
    assert.equal((await datapath.apply(new Map([[frontendId(vip), undefined]]))).changed, 1);
    assert.equal(datapath.kernel.backendsOf(vip), undefined);
  });

  it('leaves the frontends alone that a change does not name, and a replace does not', async () => {
    const datapath = new MemoryDatapath();
    await datapath.apply(one(clusterIp('10.96.0.1'), '10.1.0.1'));
    await datapath.apply(one(clusterIp('10.96.0.2'), '10.1.0.1'));
    assert.deepEqual([...datapath.kernel.routes.keys()], ['10.96.0.1:80/TCP', '10.96.0.2:80/TCP']);
    await datapath.replace(one(clusterIp('10.96.0.2'), '10.1.0.1'));
    assert.deepEqual([...datapath.kernel.routes.keys()], ['10.96.0.2:80/TCP']);
  });

  it('takes a frontend that is of another kind now', async () => {
    const datapath = new MemoryDatapath();
    await datapath.apply(one(vip, '10.1.0.1'));
    assert.equal((await datapath.apply(one({ ...vip, kind: 'ExternalIP' }, '10.1.0.1'))).changed, 1);
    assert.deepEqual(
      (await datapath.read()).map(({ frontend }) => frontend.kind),
      ['ExternalIP'],
    );
  });

  it('keeps an adopted frontend until a replace leaves it out', async () => {
    const kernel = new MemoryKernel();
    const before = new MemoryDatapath(kernel);
    await before.replace(one(vip, '10.1.0.1'));
    await before.close();
    const after = new MemoryDatapath(kernel);
    assert.equal((await after.read()).length, 1);
    await after.apply(new Map([[frontendId(clusterIp('10.96.0.9')), undefined]]));
    assert.equal(kernel.routes.size, 1);
    assert.equal((await after.replace(new Map())).changed, 1);
    assert.equal(kernel.routes.size, 0);
  });

  it('reports a frontend that it was told to fail, until healed', async () => {
    const datapath = new MemoryDatapath();
    datapath.fail(vip, 'map is full');
    assert.deepEqual((await datapath.apply(one(vip))).failures, [{ frontend: vip, reason: 'map is full' }]);
    assert.equal(datapath.kernel.backendsOf(vip), undefined);
    datapath.heal(vip);
    assert.deepEqual(await datapath.apply(one(vip)), { changed: 1, failures: [] });
  });

  it('rejects calls after close, also a second close', async () => {
    const datapath = new MemoryDatapath();
    await datapath.close();
    await assert.rejects(datapath.replace(new Map()), /expected it to be open: current value is "closed"/);
    await assert.rejects(datapath.close(), /current value is "closed"/);
  });

  it('rejects overlapping calls', async () => {
    const datapath = new MemoryDatapath();
    const first = datapath.replace(one(vip));
    await assert.rejects(datapath.apply(new Map()), /current value is "busy"/);
    assert.equal((await first).changed, 1);
  });

  const fromOutside = (...backends: readonly string[]): Routes =>
    new Map([[frontendId(vip), { ...route(vip), outside: route(vip, ...backends).backends }]]);
  const shared = route(vip, '10.1.0.1').backends.flatMap((backend) => [backend, { ...backend, clusterId: 2 }]);
  const twoClusters: Routes = new Map([[frontendId(vip), { ...route(vip), backends: shared }]]);
  const rejected: readonly [string, Routes, RegExp][] = [
    ['unsorted backends', one(vip, '10.1.0.9', '10.1.0.10'), /10.1.0.10 port 8080 is out of place/],
    [
      'unsorted backends for clients outside',
      fromOutside('10.1.0.9', '10.1.0.10'),
      /10.1.0.10 port 8080 is out of place/,
    ],
    ['a backend of the other family for them', fromOutside('fd00::1'), /must be of the frontend's family/],
    ['a backend of two clusters', twoClusters, /of one cluster each: 10.1.0.1 port 8080 is of 1 and 2/],
    ['a backend of the other family', one(vip, 'fd00::1'), /must be of the frontend's family/],
    ['a frontend port of 0', one(clusterIp('10.96.0.1', 0)), /must be 1-65535: current value is 0/],
    ['an id that is not the frontend’s', new Map([['10.96.0.2:80/TCP', route(vip)]]), /its id is 10.96.0.2:80\/TCP/],
  ];
  for (const [what, routes, expected] of rejected) {
    it(`rejects ${what}`, async () => {
      await assert.rejects(new MemoryDatapath().replace(routes), expected);
    });
  }
});
