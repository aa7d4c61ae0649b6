/** What programs see: translation of each kind of socket, and the service's address in every answer. */
import assert from 'node:assert/strict';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { NO_NODE_FACTS, type NodeFacts } from '@tombolo/node-agent/datapath/node-facts.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const DNS = { protocol: 'UDP' } as const;

describe('eBPF datapath: sockets', () => {
  let rig: Rig;
  let datapath: Datapath;

  before(async () => {
    rig = Rig.create();
    await rig.serve('tcp', ['10.200.0.1:8080=1', '[fd00:200::1]:8080=2']);
    await rig.serve('udp', ['10.200.0.1:5353=3', '10.200.0.2:5353=4', '[fd00:200::1]:5353=5']);
    datapath = await rig.open();
  });
  after(async () => {
    await datapath?.destroy();
    await rig?.end();
  });
  beforeEach(async () => {
    const { failures } = await datapath.replace(
      only(
        route('10.96.0.1:80', ['10.200.0.1:8080']),
        route('10.96.0.2:80', ['10.200.0.1:8080']),
        route('[fd00:96::1]:80', ['[fd00:200::1]:8080']),
        route('10.96.0.9:80', []),
        route('[fd00:96::9]:80', []),
        route('10.96.0.1:53', ['10.200.0.1:5353'], DNS),
        route('10.96.0.2:53', ['10.200.0.1:5353'], DNS),
        route('[fd00:96::1]:53', ['[fd00:200::1]:5353'], DNS),
        route('10.96.0.9:53', [], DNS),
      ),
    );
    assert.deepEqual(failures, []);
  });

  const cases = [
    { name: 'TCP over IPv4', kind: 'tcp4', service: '10.96.0.1:80', byte: 1, shown: '10.96.0.1:80' },
    { name: 'TCP over IPv6', kind: 'tcp6', service: '[fd00:96::1]:80', byte: 2, shown: '[fd00:96::1]:80' },
    { name: 'TCP over mapped IPv4', kind: 'tcp6', service: '10.96.0.1:80', byte: 1, shown: '[::ffff:10.96.0.1]:80' },
    // The hook sees the subflow's socket on connect and the whole one on getpeername: the peer is the backend.
    { name: 'MPTCP', kind: 'mptcp4', service: '10.96.0.1:80', byte: 1, shown: '10.200.0.1:8080' },
  ];
  for (const { name, kind, service, byte, shown } of cases) {
    it(`connects ${name} and shows ${shown} as the peer`, async () => {
      const lines = await rig.script(kind, [`connect=${service}`, 'peer', 'send', 'recv']);
      assert.deepEqual(lines, ['connect ok', `peer ${shown}`, 'send ok', `recv ${byte}`]);
    });
  }

  it('shows a stream what it connected to last, however often it asks and connects again', async () => {
    const steps = ['10.96.0.1:80', '10.96.0.2:80', '10.200.0.1:8080', '10.96.0.1:80'].flatMap((to) => [
      `connect=${to}`,
      'peer',
      'peer',
      'disconnect',
    ]);
    const lines = await rig.script('tcp4', steps);
    assert.deepEqual(
      lines.filter((line) => line.startsWith('peer')),
      ['10.96.0.1:80', '10.96.0.2:80', '10.200.0.1:8080', '10.96.0.1:80'].flatMap((to) => [`peer ${to}`, `peer ${to}`]),
    );
  });

  describe('an address of a Service that the node has itself, as with NodeLocal DNSCache', () => {
    let facts: NodeFacts = NO_NODE_FACTS;
    const local = only(route('10.200.0.9:53', ['10.200.0.1:5353'], DNS), route('10.96.0.1:80', ['10.200.0.1:8080']));
    const asked = () => rig.script('udp4', ['sendto=10.200.0.9:53', 'recv']);

    before(async () => {
      await datapath.close();
      datapath = await rig.open({ node: () => facts });
      await rig.serve('udp', ['10.200.0.9:53=9']);
    });

    it('is left to the node while it has it', async () => {
      await datapath.replace(local);
      assert.deepEqual(await asked(), ['sendto ok', 'recv 3 from 10.200.0.9:53']);
      facts = { ...facts, addresses: new Set([ip('10.200.0.9')]) };
      assert.equal(await datapath.refresh(), true);
      assert.deepEqual((await datapath.replace(local)).failures, []);
      assert.deepEqual(await asked(), ['sendto ok', 'recv 9 from 10.200.0.9:53']);
      assert.equal(await datapath.verify(), undefined);
      facts = { ...facts, uplinks: [1] };
      assert.equal(await datapath.refresh(), false);
      facts = { ...facts, addresses: new Set() };
      assert.equal(await datapath.refresh(), true);
      await datapath.replace(local);
      assert.deepEqual(await asked(), ['sendto ok', 'recv 3 from 10.200.0.9:53']);
    });

    it('is left to it by whoever sets the whole table, without having been told before', async () => {
      for (const [addresses, byte] of [
        [[ip('10.200.0.9')], 9],
        [[], 3],
      ] as const) {
        facts = { ...facts, addresses: new Set(addresses) };
        await datapath.replace(local);
        assert.deepEqual(await asked(), ['sendto ok', `recv ${byte} from 10.200.0.9:53`]);
      }
    });

    it('is not that of an external address, which may well be one of the node', async () => {
      facts = { ...facts, addresses: new Set([ip('10.200.0.9')]) };
      await datapath.refresh();
      const external = [...local].map(
        ([id, each]) => [id, { ...each, frontend: { ...each.frontend, kind: 'ExternalIP' } }] as const,
      );
      await datapath.replace(new Map(external));
      assert.deepEqual(await asked(), ['sendto ok', 'recv 3 from 10.200.0.9:53']);
    });
  });

  const datagrams = [
    { name: 'IPv4', kind: 'udp4', service: '10.96.0.1:53', byte: 3, shown: '10.96.0.1:53' },
    { name: 'IPv6', kind: 'udp6', service: '[fd00:96::1]:53', byte: 5, shown: '[fd00:96::1]:53' },
    { name: 'mapped IPv4', kind: 'udp6', service: '10.96.0.1:53', byte: 3, shown: '[::ffff:10.96.0.1]:53' },
  ];
  for (const { name, kind, service, byte, shown } of datagrams) {
    it(`carries UDP over ${name}, unconnected: the answer comes from the service`, async () => {
      const lines = await rig.script(kind, [`sendto=${service}`, 'recv', `sendto=${service}`, 'recv']);
      const answer = `recv ${byte} from ${shown}`;
      assert.deepEqual(lines, ['sendto ok', answer, 'sendto ok', answer]);
    });
    it(`carries UDP over ${name}, connected: answer and peer are the service`, async () => {
      const lines = await rig.script(kind, [`connect=${service}`, 'peer', 'send', 'recv']);
      assert.deepEqual(lines, ['connect ok', `peer ${shown}`, 'send ok', `recv ${byte} from ${shown}`]);
    });
  }

  it('tells two services with the same backend apart by the last send', async () => {
    const lines = await rig.script('udp4', ['sendto=10.96.0.1:53', 'recv', 'sendto=10.96.0.2:53', 'recv']);
    assert.deepEqual(
      lines.filter((line) => line.startsWith('recv')),
      ['recv 3 from 10.96.0.1:53', 'recv 3 from 10.96.0.2:53'],
    );
  });

  it('shows a backend as itself once the socket speaks to it directly', async () => {
    const sent = await rig.script('udp4', ['sendto=10.96.0.1:53', 'recv', 'sendto=10.200.0.1:5353', 'recv']);
    assert.deepEqual(sent.slice(2), ['sendto ok', 'recv 3 from 10.200.0.1:5353']);
    const connected = await rig.script('udp4', [
      'connect=10.96.0.1:53',
      'connect=10.200.0.1:5353',
      'peer',
      'send',
      'recv',
    ]);
    assert.deepEqual(connected.slice(2), ['peer 10.200.0.1:5353', 'send ok', 'recv 3 from 10.200.0.1:5353']);
  });

  it('does not take a socket for connected after connect(AF_UNSPEC)', async () => {
    const steps = ['connect=10.96.0.1:53', 'disconnect', 'sendto=10.200.0.1:5353', 'recv'];
    assert.equal((await rig.script('udp4', steps)).at(-1), 'recv 3 from 10.200.0.1:5353');
  });

  it('keeps to the connection while a connected socket also sends elsewhere', async () => {
    const steps = [
      'connect=10.96.0.1:53',
      'sendto=10.96.0.2:53',
      'recv',
      'peer',
      'connect=10.96.0.1:53',
      'send',
      'recv',
    ];
    const lines = await rig.script('udp4', steps);
    assert.deepEqual(
      lines.filter((line) => /recv|peer/.test(line)),
      ['recv 3 from 10.96.0.2:53', 'peer 10.96.0.1:53', 'recv 3 from 10.96.0.1:53'],
    );
  });

  it('refuses streams to a service without backends at once', async () => {
    assert.deepEqual(await rig.script('tcp4', ['connect=10.96.0.9:80']), ['connect ECONNREFUSED']);
    assert.deepEqual(await rig.script('tcp6', ['connect=10.96.0.9:80']), ['connect ECONNREFUSED']);
    assert.deepEqual(await rig.script('tcp6', ['connect=[fd00:96::9]:80']), ['connect ECONNREFUSED']);
  });

  it('leaves datagrams to a service without backends to others, and takes them up once it has some', async () => {
    const empty = (to: readonly string[]) => only(route('10.98.0.9:53', to, DNS));
    await datapath.apply(empty([]));
    assert.deepEqual(await rig.script('udp4', ['connect=10.98.0.9:53', 'peer']), ['connect ok', 'peer 10.98.0.9:53']);
    const steps = ['sendto=10.98.0.9:53', 'wait', 'sendto=10.98.0.9:53', 'recv'];
    const lines = await rig.scriptAround('udp4', steps, () => datapath.apply(empty(['10.200.0.1:5353'])));
    assert.deepEqual(lines, ['sendto ok', 'wait', 'sendto ok', 'recv 3 from 10.98.0.9:53']);
    // And the other way round: a backend that it had is not taken for the service's answer.
    const back = await rig.scriptAround('udp4', ['sendto=10.98.0.9:53', 'recv', ...steps.slice(1, 3)], () =>
      datapath.apply(empty([])),
    );
    assert.deepEqual(back, ['sendto ok', 'recv 3 from 10.98.0.9:53', 'wait', 'sendto ok']);
  });

  it('leaves every other address and protocol alone', async () => {
    const direct = await rig.script('tcp4', ['connect=10.200.0.1:8080', 'peer', 'send', 'recv']);
    assert.deepEqual(direct, ['connect ok', 'peer 10.200.0.1:8080', 'send ok', 'recv 1']);
    // 10.96/16 is a blackhole: untranslated, it is unreachable.
    assert.deepEqual(await rig.script('tcp4', ['connect=10.96.0.1:53']), ['connect EINVAL']);
    assert.deepEqual(await rig.script('tcp4', ['connect=10.96.0.77:80']), ['connect EINVAL']);
  });

  it('stops serving a frontend that is removed', async () => {
    const served = await datapath.read();
    assert.ok(served.length > 1);
    await datapath.apply(new Map(served.map(({ frontend }) => [frontendId(frontend), undefined])));
    assert.deepEqual(await rig.script('tcp4', ['connect=10.96.0.1:80']), ['connect EINVAL']);
    assert.deepEqual(await datapath.read(), []);
  });
});
