import assert from 'node:assert/strict';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { four, frontend, Rig, route, routes } from './rig.ts';

describe('nftables: connections', () => {
  let rig: Rig;
  let datapath: Datapath;

  before(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    datapath = await rig.open();
    await rig.serve('back', [
      ...four().map((address, i) => `${address}=${i + 1}`),
      '[fd02::11]:8080=5',
      '[fd02::12]:8080=6',
    ]);
    await rig.serve(
      'back',
      four(53).map((address, i) => `${address}=${i + 1}`),
      ['-u'],
    );
    await rig.serve('pod', ['10.1.0.2:8080=9', '[fd01::2]:8080=9']);
  });

  after(() => rig?.end());

  const web = frontend('TCP 10.96.0.1:80');
  const serve = async (...list: readonly FrontendRoute[]): Promise<void> => {
    assert.deepEqual((await datapath.replace(routes(...list))).failures, []);
  };

  it('from a pod reach each of four backends a quarter of the time', async () => {
    await serve(route(web, four()));
    const { connections, failures, replies } = await rig.connect('pod', ['-n', '4000', '10.96.0.1:80']);
    assert.deepEqual([connections, failures], [4000, 0]);
    assertQuarters(replies);
  });

  it('reach a backend of three shares three times as often as one of one, also after the weights changed', async () => {
    const shares = (...numbers: readonly number[]): FrontendRoute =>
      route(
        web,
        numbers.flatMap((count, i) => Array.from({ length: count }, () => four()[i] ?? '')),
      );
    for (const [first, second] of [
      [3, 1],
      [1, 3],
    ] as const) {
      await serve(shares(first, second));
      assert.deepEqual(await datapath.read(), [shares(first, second)]);
      assert.equal(await datapath.verify(), undefined);
      const { failures, replies } = await rig.connect('pod', ['-n', '4000', '10.96.0.1:80']);
      assert.deepEqual([failures, Object.keys(replies)], [0, ['1', '2']]);
      assert.ok(Math.abs((replies[1] ?? 0) - first * 1000) < 200, JSON.stringify(replies));
    }
  });

  it('under affinity stay with their backend when the weights change', async () => {
    const taken = async (...numbers: readonly number[]): Promise<readonly string[]> => {
      const shares = numbers.flatMap((count, i) => Array.from({ length: count }, () => four()[i] ?? ''));
      await serve(route(web, shares, 600));
      return Object.keys((await rig.connect('pod', ['-n', '20', '10.96.0.1:80'])).replies);
    };
    const first = await taken(2, 2, 2);
    assert.equal(first.length, 1);
    for (const weights of [
      [1, 3, 1],
      [5, 1, 1],
      [1, 1, 5],
      [2, 2, 2],
    ])
      assert.deepEqual(await taken(...weights), first);
  });

  it('from the node itself are balanced too', async () => {
    await serve(route(frontend('TCP 10.97.0.1:80'), four()));
    const { failures, replies } = await rig.connect('node', ['-n', '4000', '10.97.0.1:80']);
    assert.equal(failures, 0);
    assertQuarters(replies);
  });

  it('go over IPv6', async () => {
    const six = route(frontend('TCP [fd96::1]:80'), ['[fd02::11]:8080', '[fd02::12]:8080']);
    await serve(six);
    const { failures, replies } = await rig.connect('pod', ['-n', '200', '[fd96::1]:80']);
    assert.deepEqual([failures, Object.keys(replies)], [0, ['5', '6']]);
  });

  it('fail at once, over both families and from both places, when there is no backend', async () => {
    await serve(
      route(web, []),
      route(frontend('TCP [fd96::1]:80'), []),
      route(frontend('UDP 10.96.0.1:53'), []),
      route(frontend('TCP 10.97.0.1:80'), []),
      route(frontend('TCP 0.0.0.0:30080', 'NodePort'), []),
    );
    for (const [place, address] of [
      ['pod', '10.96.0.1:80'],
      ['pod', '[fd96::1]:80'],
      ['node', '10.97.0.1:80'],
      ['pod', '10.1.0.1:30080'],
    ] as const) {
      const { errors } = await rig.connect(place, ['-n', '5', address]);
      assert.deepEqual(errors, { ECONNREFUSED: 5 }, `${place} to ${address}`);
    }
    assert.equal(await rig.udp('pod', '10.96.0.1', 53, 40_000), 'ECONNREFUSED');
  });

  it('to a port that no Service has are refused at a cluster IP, while it is one, and nowhere else', async () => {
    const of = (kind: 'ClusterIP' | 'LoadBalancer', address: string, affinity = 0) =>
      route(frontend(`TCP ${address}:80`, kind), four(), affinity);
    const six = route(frontend('TCP [fd96::1]:80'), ['[fd02::11]:8080']);
    const sticky = of('ClusterIP', '10.97.0.2', 60);
    await serve(
      of('ClusterIP', '10.97.0.1'),
      of('ClusterIP', '10.96.0.1'),
      of('LoadBalancer', '10.96.0.2'),
      six,
      sticky,
    );
    const asked = async (place: 'pod' | 'node', target: string) =>
      (await rig.connect(place, ['-n', '3', target])).errors;
    for (const port of ['81', '8080']) {
      assert.deepEqual(await asked('pod', `10.96.0.1:${port}`), { ECONNREFUSED: 3 });
      assert.deepEqual(await asked('pod', `[fd96::1]:${port}`), { ECONNREFUSED: 3 });
      assert.deepEqual(await asked('node', `10.97.0.1:${port}`), { ECONNREFUSED: 3 });
      assert.deepEqual(await asked('pod', `10.97.0.2:${port}`), { ECONNREFUSED: 3 });
    }
    assert.equal(await rig.udp('pod', '10.96.0.1', 80, 40_001), 'ECONNREFUSED');
    assert.deepEqual(await asked('pod', '10.96.0.1:80'), {});
    assert.equal(await rig.udp('pod', '10.96.0.2', 81, 40_002), 'silence');
    await serve(of('ClusterIP', '10.97.0.1'));
    assert.equal(await rig.udp('pod', '10.96.0.1', 81, 40_003), 'silence');
  });

  it('to a cluster IP that the node has itself are the node’s where no Service is', async () => {
    await serve(route(web, four()));
    await rig.run('node', ['ip', 'address', 'add', '10.96.0.1/32', 'dev', 'lo']);
    try {
      await rig.serve('node', ['10.96.0.1:8080=7']);
      assert.deepEqual((await rig.connect('pod', ['-n', '5', '10.96.0.1:8080'])).replies, { 7: 5 });
    } finally {
      await rig.run('node', ['ip', 'address', 'delete', '10.96.0.1/32', 'dev', 'lo']);
    }
  });

  for (const affinity of [0, 60]) {
    it(`may go on for an hour when one side has closed${affinity > 0 ? ', with affinity, too' : ''}`, async () => {
      await serve(
        route(web, ['10.2.0.11:9090'], affinity),
        route(frontend('TCP [fd96::1]:80'), ['[fd02::11]:9090'], affinity),
      );
      const listen = `require('net').createServer({ allowHalfOpen: true }, (s) => s.resume().on('end', () => s.write('seen'))).listen(9090, '::', () => console.log('ready'))`;
      const server = await rig.start('back', [process.execPath, '-e', listen]);
      for (const address of ['10.96.0.1', 'fd96::1']) {
        const client = await rig.start('pod', [
          process.execPath,
          '-e',
          `const s = require('net').connect({ port: 80, host: '${address}', allowHalfOpen: true }, () => s.end()).on('data', () => console.log('closed'))`,
        ]);
        const family = address.includes(':') ? 'ipv6' : 'ipv4';
        const tracked = await rig.run('node', ['conntrack', '-L', '-f', family, '-p', 'tcp', '-d', address]);
        const [, seconds] = /tcp +6 (\d+) CLOSE_WAIT/.exec(tracked) ?? [];
        assert.ok(Number(seconds) > 3_500, tracked);
        client.stop();
      }
      server.stop();
    });
  }

  it('are answered again as soon as there is a backend', async () => {
    await serve(route(web, []));
    await serve(route(web, ['10.2.0.12:8080']));
    assert.deepEqual((await rig.connect('pod', ['-n', '20', '10.96.0.1:80'])).replies, { '2': 20 });
  });

  it('of a pod to itself through the Service come back', async () => {
    await serve(route(web, ['10.1.0.2:8080']), route(frontend('TCP [fd96::1]:80'), ['[fd01::2]:8080']));
    assert.deepEqual((await rig.connect('pod', ['-n', '20', '10.96.0.1:80'])).replies, { '9': 20 });
    assert.deepEqual((await rig.connect('pod', ['-n', '20', '[fd96::1]:80'])).replies, { '9': 20 });
  });

  it('of one client stay with one backend under affinity, until that is gone', async () => {
    for (const [place, address, backends] of [
      ['pod', '10.96.0.1:80', four()],
      ['pod', '[fd96::1]:80', ['[fd02::11]:8080', '[fd02::12]:8080']],
      ['node', '10.97.0.1:80', four()],
    ] as const) {
      const sticky = (list: readonly string[]) => route(frontend(`TCP ${address}`), list, 60);
      await serve(sticky(backends));
      const first = Object.entries((await rig.connect(place, ['-n', '300', address])).replies);
      assert.equal(first.length, 1, `${address}: ${JSON.stringify(first)}`);
      assert.equal(first[0]?.[1], 300);
      // Other backends may come and go.
      const taken = backends[(Number(first[0]?.[0]) - 1) % backends.length];
      await serve(sticky(backends.filter((backend, i) => backend === taken || i % 2 === 0)));
      const again = await rig.connect(place, ['-n', '50', address]);
      assert.deepEqual(again.replies, { [String(first[0]?.[0])]: 50 });
      // Its own backend goes: another one is chosen, and kept.
      await serve(sticky(backends.filter((backend) => backend !== taken)));
      const next = Object.entries((await rig.connect(place, ['-n', '50', address])).replies);
      assert.equal(next.length, 1, JSON.stringify(next));
      assert.notEqual(next[0]?.[0], first[0]?.[0]);
    }
  });

  it('over UDP reach a backend, and leave one that was removed although the flow is tracked', async () => {
    const dns = frontend('UDP 10.96.0.1:53');
    await serve(route(dns, ['10.2.0.11:53']));
    assert.equal(await rig.udp('pod', '10.96.0.1', 53, 40_001), '1');
    await serve(route(dns, ['10.2.0.12:53']));
    assert.equal(await rig.udp('pod', '10.96.0.1', 53, 40_001), '2');
    await serve(route(dns, []));
    assert.equal(await rig.udp('pod', '10.96.0.1', 53, 40_001), 'ECONNREFUSED');
  });
});

function assertQuarters(replies: Readonly<Record<string, number>>): void {
  const total = Object.values(replies).reduce((sum, count) => sum + count, 0);
  for (const backend of ['1', '2', '3', '4']) {
    const share = (replies[backend] ?? 0) / total;
    assert.ok(Math.abs(share - 0.25) <= 0.05, `backend ${backend} got ${(share * 100).toFixed(1)} %`);
  }
}
