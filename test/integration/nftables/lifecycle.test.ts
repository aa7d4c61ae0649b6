import assert from 'node:assert/strict';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { four, frontend, Rig, route, routes } from './rig.ts';

const web = frontend('TCP 10.96.0.1:80');

describe('nftables: changes and restarts', () => {
  let rig: Rig;
  let datapath: Datapath;

  beforeEach(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    datapath = await rig.open();
    await rig.serve(
      'back',
      four().map((address, i) => `${address}=${i + 1}`),
    );
  });

  afterEach(() => rig?.end());

  it('switches backends two hundred times under load without one failed connection', async () => {
    const sets = [four(), four().slice(0, 1), four().slice(1, 3), four().slice(2), [...four().slice(0, 3)]];
    await datapath.replace(routes(route(web, four())));
    const load = rig.connectOn('pod', ['-t', '2', '10.96.0.1:80']);
    let changed = 0;
    for (let i = 0; i < 200; i += 1) {
      const affinity = i % 10 === 9 ? 30 : 0;
      const report = await datapath.apply(routes(route(web, sets[i % sets.length] ?? [], affinity)));
      changed += report.changed;
      assert.deepEqual(report.failures, []);
    }
    const { connections, failures, errors } = await load.finish();
    assert.deepEqual({ failures, errors }, { failures: 0, errors: {} });
    assert.ok(changed >= 199, `${changed} changes`);
    assert.ok(connections > 200, `only ${connections} connections`);
  });

  it('serves through a restart, reads the same routes back, and then has nothing to do', async () => {
    const services = routes(
      route(web, four()),
      route(frontend('TCP 10.96.0.2:80', 'LoadBalancer'), four(), 3600),
      route(frontend('UDP 10.96.0.3:53', 'ExternalIP'), []),
      route(frontend('TCP 0.0.0.0:30080', 'NodePort'), four().slice(0, 2)),
      route(frontend('SCTP [fd96::1]:80'), ['[fd02::11]:8080']),
      route(frontend('TCP [::]:30080', 'NodePort'), ['[fd02::11]:8080'], 60),
    );
    await datapath.replace(services);
    const load = rig.connectOn('pod', ['10.96.0.1:80']);
    const before = sorted(await datapath.read());
    await datapath.close();
    const second = await rig.open();
    assert.deepEqual(sorted(await second.read()), before);
    assert.deepEqual(before, sorted([...services.values()]));
    const again = async () => assert.deepEqual(await second.replace(services), { changed: 0, failures: [] });
    assert.equal(await rig.transactionsOf(again), '');
    assert.equal((await load.finish()).failures, 0);
  });

  it('removes at the first replace after a restart what is not wanted any more', async () => {
    await datapath.replace(routes(route(web, four()), route(frontend('TCP 10.96.0.9:80'), four())));
    await datapath.close();
    const second = await rig.open();
    assert.deepEqual(await second.replace(routes(route(web, four()))), { changed: 1, failures: [] });
    assert.equal((await second.read()).length, 1);
  });

  it('writes its tables anew when somebody flushed them', async () => {
    const services = routes(route(web, four()));
    await datapath.replace(services);
    await rig.nft('flush', 'ruleset');
    await datapath.replace(services);
    assert.equal((await rig.connect('pod', ['-n', '20', '10.96.0.1:80'])).failures, 0);
    // An update alone notices it too, and brings back all that was there.
    await rig.nft('flush', 'ruleset');
    await datapath.apply(routes(route(frontend('TCP 10.96.0.2:80'), four())));
    assert.equal((await rig.connect('pod', ['-n', '20', '10.96.0.1:80', '10.96.0.2:80'])).failures, 0);
  });

  it('mends what somebody else changed in its tables, at the next replace after a look', async () => {
    const services = routes(route(web, four()));
    await datapath.replace(services);
    await rig.nft('delete', 'element', 'ip', 'tombolo', 'slots-tcp', '{ 10.96.0.1 . 80 . 3 }');
    await datapath.read();
    await datapath.replace(services);
    assert.equal((await rig.connect('pod', ['-n', '100', '10.96.0.1:80'])).failures, 0);
  });

  it('sets the others when one frontend is refused, and says which', async () => {
    const report = await datapath.replace(
      routes(route(web, four()), route(frontend('TCP 10.96.0.2:80'), [...four()].reverse())),
    );
    assert.deepEqual(report.failures.map(({ frontend: { address }, reason }) => `${address} ${reason}`).sort(), [
      '10.96.0.2 backends must be sorted: 10.2.0.13 port 8080 is out of place',
    ]);
    assert.equal((await rig.connect('pod', ['-n', '20', '10.96.0.1:80'])).failures, 0);
  });

  it('destroy leaves nothing behind, and nobody else’s tables are touched', async () => {
    const foreign = 'table ip foreign {\n  chain untouched {\n    accept\n  }\n}\n';
    await rig.nft(foreign);
    await datapath.replace(routes(route(web, four(), 60)));
    await datapath.destroy();
    assert.equal((await rig.nft('list', 'tables')).trim(), 'table ip foreign');
  });

  it('leaves Services that it does not know to kube-proxy, and wins for those that both know', async () => {
    // The layout of kube-proxy's nftables mode, in short: one Service of its own and one that both serve.
    await rig.nft(
      `table ip kube-proxy {
         map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
         chain theirs { meta l4proto tcp dnat to 10.2.0.14:8080; }
         chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
         chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
         chain nat-output { type nat hook output priority -100; jump services; }
       }
       add element ip kube-proxy service-ips { 10.96.0.77 . tcp . 80 : goto theirs, 10.96.0.1 . tcp . 80 : goto theirs }`,
    );
    await datapath.replace(routes(route(web, four().slice(0, 1))));
    assert.deepEqual((await rig.connect('pod', ['-n', '20', '10.96.0.77:80'])).replies, { '4': 20 });
    assert.deepEqual((await rig.connect('pod', ['-n', '20', '10.96.0.1:80'])).replies, { '1': 20 });
    await datapath.replace(routes(route(web, [])));
    assert.deepEqual((await rig.connect('pod', ['-n', '5', '10.96.0.1:80'])).errors, { ECONNREFUSED: 5 });
    await datapath.apply(new Map([[frontendId(web), undefined]]));
    assert.deepEqual((await rig.connect('pod', ['-n', '5', '10.96.0.1:80'])).replies, { '4': 5 });
  });
});

describe('nftables: from outside', () => {
  let rig: Rig;

  beforeEach(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    await rig.serve(
      'back',
      four().map((address, i) => `${address}=${i + 1}`),
    );
    await rig.serve('pod', ['10.1.0.2:8080=9']);
  });

  afterEach(() => rig?.end());

  it('NodePorts answer at every address of the node, from everywhere, and not on loopback', async () => {
    const datapath = await rig.open();
    await datapath.replace(routes(route(frontend('TCP 0.0.0.0:30080', 'NodePort'), four())));
    for (const [place, address] of [
      ['client', '192.0.2.1'],
      ['pod', '10.1.0.1'],
      ['node', '10.2.0.1'],
    ] as const) {
      const { replies, failures } = await rig.connect(place, ['-n', '100', `${address}:30080`]);
      assert.deepEqual([failures, Object.keys(replies)], [0, ['1', '2', '3', '4']], `${place} to ${address}`);
    }
    assert.deepEqual((await rig.connect('node', ['-n', '3', '127.0.0.1:30080'])).errors, { ECONNREFUSED: 3 });
    assert.deepEqual((await rig.connect('client', ['-n', '3', '192.0.2.1:30081'])).errors, { ECONNREFUSED: 3 });
  });

  it('external addresses answer, with affinity too', async () => {
    const datapath = await rig.open();
    await datapath.replace(
      routes(
        route(frontend('TCP 10.96.9.1:80', 'LoadBalancer'), four()),
        route(frontend('TCP 0.0.0.0:30080', 'NodePort'), four(), 60),
      ),
    );
    assert.equal((await rig.connect('client', ['-n', '100', '10.96.9.1:80'])).failures, 0);
    assert.equal(Object.keys((await rig.connect('client', ['-n', '100', '192.0.2.1:30080'])).replies).length, 1);
  });

  it('keeps the client’s address for a backend on this node, and masquerades for one elsewhere', async () => {
    const datapath = await rig.open([cidr('10.1.0.0/24'), cidr('10.1.0.0/25'), cidr('fd01::/64')]);
    await datapath.replace(routes(route(frontend('TCP 10.96.9.1:80', 'LoadBalancer'), ['10.1.0.2:8080'])));
    const sourceSeenBy = async (device: string): Promise<string> => {
      assert.equal((await rig.connect('client', ['-n', '1', '10.96.9.1:80'])).failures, 0);
      const tracked = await rig.run('node', ['conntrack', '-L', '-p', 'tcp', '--orig-src', '192.0.2.2']);
      const replyTo = /src=10\.\S+ dst=(\S+)/g;
      const sources = [...tracked.matchAll(replyTo)]
        .map((match) => match[1])
        .filter((address) => address !== '10.96.9.1');
      await rig.run('node', ['conntrack', '-F']);
      return `${device}: ${[...new Set(sources)].join(' ')}`;
    };
    // The pod has a route back to the client through its node; without masquerading it sees the client itself.
    assert.equal(await sourceSeenBy('pod'), 'pod: 192.0.2.2');
    await datapath.replace(routes(route(frontend('TCP 10.96.9.1:80', 'LoadBalancer'), ['10.2.0.11:8080'])));
    assert.equal(await sourceSeenBy('back'), 'back: 10.2.0.1');
  });

  it('takes back its scratch and leaves packet marks alone', async () => {
    await rig.nft(
      `table ip watch {
         chain first { type filter hook prerouting priority -150; ct state new ip daddr 10.96.0.0/16 meta mark set 0x1234; }
         chain own { type filter hook output priority -150; ct state new ip daddr 10.97.0.0/16 meta mark set 0x1234; }
         chain last { type filter hook postrouting priority 200;
           ct state new ip daddr 10.2.0.0/24 meta priority != 0 counter comment "priority"
           ct state new ip daddr 10.2.0.0/24 meta mark != 0x1234 counter comment "mark"
           ct state new ip daddr 10.2.0.0/24 counter comment "all"
         }
       }`,
    );
    const datapath = await rig.open();
    // The kernel itself sets the priority of what it forwards over IPv4, but not that of this host's own packets.
    await datapath.replace(
      routes(
        route(web, four()),
        route(frontend('TCP 10.96.0.2:80'), four(), 60),
        route(frontend('TCP 10.97.0.1:80'), four()),
        route(frontend('TCP 10.97.0.2:80'), four(), 60),
      ),
    );
    await rig.connect('pod', ['-n', '20', '10.96.0.1:80', '10.96.0.2:80']);
    await rig.connect('node', ['-n', '20', '10.97.0.1:80', '10.97.0.2:80']);
    const listing = await rig.nft('list', 'table', 'ip', 'watch');
    const packets = (comment: string): number =>
      Number(new RegExp(`counter packets (\\d+) bytes \\d+ comment "${comment}"`).exec(listing)?.[1]);
    assert.deepEqual([packets('all'), packets('mark'), packets('priority')], [40, 0, 0]);
  });
});

const sorted = (list: readonly unknown[]): string[] => list.map((entry) => JSON.stringify(entry)).sort();
