/** externalTrafficPolicy Local: clients outside the cluster meet this node's backends alone, with their own address. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { NO_NODE_FACTS, type NodeFacts } from '@tombolo/node-agent/datapath/node-facts.ts';
import { cidr, formatCidr } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { backends, four, frontend, type Place, Rig, route, routes } from './rig.ts';

const LOCAL = '10.1.0.2:8080';
const LOCAL_BYTE = '9';
const ALL_BYTES = ['1', '2', '3', '4', LOCAL_BYTE];

describe('nftables: clients outside the cluster', () => {
  let rig: Rig;
  let datapath: Datapath;

  before(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    await rig.serve(
      'back',
      four().map((address, i) => `${address}=${i + 1}`),
    );
    await rig.serve('pod', [`${LOCAL}=${LOCAL_BYTE}`]);
    datapath = await rig.open([cidr('10.1.0.0/24')]);
  });
  afterEach(() => rig.run('node', ['conntrack', '-F']));
  after(() => rig?.end());

  const everywhere = [LOCAL, ...four()];
  const apart = (kind: 'NodePort' | 'LoadBalancer', outside: readonly string[], affinity = 0): FrontendRoute => {
    const front = frontend(kind === 'NodePort' ? 'TCP 0.0.0.0:30080' : 'TCP 10.97.9.1:80', kind);
    return { ...route(front, everywhere, affinity), outside: backends(outside) };
  };
  const TARGETS = { NodePort: '192.0.2.1:30080', LoadBalancer: '10.97.9.1:80' } as const;
  const answers = async (place: Place, target: string): Promise<readonly string[]> => {
    const { failures, errors, replies } = await rig.connect(place, ['-n', '200', target]);
    assert.deepEqual([place, failures, errors], [place, 0, {}]);
    return Object.keys(replies);
  };
  /** Waits as long as a first packet is sent again once, and tells what became of it. */
  const silence = async (place: Place, target: string): Promise<string> => {
    const [address = '', port = ''] = target.split(':');
    const script = `
      const socket = require('node:net').connect(${port}, '${address}');
      socket.on('connect', () => { console.log('answered'); process.exit(); });
      socket.on('error', (e) => { console.log(e.code); process.exit(); });
      setTimeout(() => { console.log('silence'); process.exit(); }, 1500);`;
    return (await rig.run(place, [process.execPath, '-e', script])).trim();
  };

  for (const kind of ['NodePort', 'LoadBalancer'] as const) {
    for (const affinity of [0, 600]) {
      const target = TARGETS[kind];
      const what = `${kind}${affinity > 0 ? ' with affinity' : ''}`;

      it(`${what}: they get this node’s backend and it sees their address; pods and the node get all`, async () => {
        await datapath.replace(routes(apart(kind, [LOCAL], affinity)));
        assert.deepEqual(await answers('client', target), [LOCAL_BYTE]);
        const tracked = await rig.run('node', ['conntrack', '-L', '-p', 'tcp', '--orig-src', '192.0.2.2']);
        assert.match(tracked, /src=10\.1\.0\.2 dst=192\.0\.2\.2 /);
        // With affinity it is one of them for each client: the client's own choice does not count for others.
        const inside = async (place: Place) =>
          (await answers(place, target)).filter((byte) => !ALL_BYTES.includes(byte));
        assert.deepEqual([await inside('pod'), await inside('node')], [[], []]);
        if (affinity === 0) {
          assert.deepEqual([await answers('pod', target), await answers('node', target)], [ALL_BYTES, ALL_BYTES]);
        }
      });

      it(`${what}: they get no answer from a node without a backend; pods and the node do`, async () => {
        await datapath.replace(routes(apart(kind, [], affinity)));
        assert.equal(await silence('client', target), 'silence');
        for (const place of ['pod', 'node'] as const) assert.ok((await answers(place, target)).length > 0, place);
      }).timeout(10_000);
    }
  }

  it('a client stays with no backend that the policy took from it', async () => {
    await datapath.replace(routes({ ...apart('LoadBalancer', [], 600), outside: undefined }));
    await answers('client', '10.97.9.1:80');
    await datapath.replace(routes(apart('LoadBalancer', [LOCAL], 600)));
    assert.deepEqual(await answers('client', '10.97.9.1:80'), [LOCAL_BYTE]);
  });

  it('switches between the policies under load without one failed connection', async () => {
    const local = apart('NodePort', [LOCAL]);
    const { outside: _, ...cluster } = local;
    await datapath.replace(routes(cluster));
    const load = rig.connectOn('client', ['-t', '2', TARGETS.NodePort]);
    for (let i = 0; i < 100; i += 1) {
      assert.deepEqual(await datapath.apply(routes(i % 2 === 0 ? local : cluster)), { changed: 1, failures: [] });
    }
    const { connections, failures, errors } = await load.finish();
    assert.deepEqual({ failures, errors }, { failures: 0, errors: {} });
    assert.ok(connections > 100, `only ${connections} connections`);
  });

  it('is read back after a restart, and then there is nothing to do', async () => {
    const wanted = routes(apart('NodePort', [LOCAL], 60), apart('LoadBalancer', []));
    await datapath.replace(wanted);
    const second = await rig.open([cidr('10.1.0.0/24')]);
    const found = (await second.read()).toSorted((a, b) => b.frontend.address.localeCompare(a.frontend.address));
    assert.deepEqual(
      found,
      [...wanted.values()].toSorted((a, b) => b.frontend.address.localeCompare(a.frontend.address)),
    );
    assert.deepEqual(await second.replace(wanted), { changed: 0, failures: [] });
    assert.equal(await second.verify(), undefined);
    assert.deepEqual(await second.replace(new Map()), { changed: 2, failures: [] });
    assert.deepEqual(await second.read(), []);
    datapath = second;
  });

  it('source ranges let in whom they name, and keep out others of the outside, not pods or the node', async () => {
    const guarded = (...ranges: readonly string[]): FrontendRoute => ({
      ...route(frontend('TCP 10.97.9.1:80', 'LoadBalancer'), everywhere),
      sourceRanges: ranges.map(cidr),
    });
    const free = route(frontend('TCP 10.97.9.2:80', 'LoadBalancer'), everywhere);
    await datapath.replace(routes(guarded('198.51.100.0/24'), free));
    assert.equal(await silence('client', '10.97.9.1:80'), 'silence');
    for (const place of ['pod', 'node'] as const) assert.deepEqual(await answers(place, '10.97.9.1:80'), ALL_BYTES);
    assert.deepEqual(await answers('client', '10.97.9.2:80'), ALL_BYTES);
    await datapath.replace(routes(guarded('198.51.100.0/24', '192.0.0.0/16', '192.0.2.2/32', '192.0.2.0/24'), free));
    assert.deepEqual(await answers('client', '10.97.9.1:80'), ALL_BYTES);
    assert.equal(await datapath.verify(), undefined);
    const second = await rig.open([cidr('10.1.0.0/24')]);
    const [read] = (await second.read()).filter(({ sourceRanges }) => sourceRanges);
    assert.deepEqual(read?.sourceRanges?.map(formatCidr), ['192.0.0.0/16', '198.51.100.0/24']);
    assert.equal((await second.replace(routes(guarded('198.51.100.0/24', '192.0.0.0/16'), free))).changed, 0);
    await second.replace(routes({ ...guarded(), sourceRanges: undefined }));
    assert.deepEqual(await answers('client', '10.97.9.1:80'), ALL_BYTES);
    await second.replace(routes(guarded('192.0.2.1/32')));
    assert.equal(await silence('client', '10.97.9.1:80'), 'silence');
    datapath = second;
  }).timeout(15_000);

  it('a NodePort that leads nowhere takes nothing from an address of the node with the same port', async () => {
    const balancer = frontend('TCP 192.0.2.1:30080', 'LoadBalancer');
    const nodePort = route(frontend('TCP 0.0.0.0:30080', 'NodePort'), []);
    await datapath.replace(routes(route(balancer, four()), nodePort));
    assert.deepEqual(await answers('client', '192.0.2.1:30080'), ['1', '2', '3', '4']);
    assert.equal(await silence('pod', '10.1.0.1:30080'), 'ECONNREFUSED');
    await datapath.replace(routes(route(balancer, four()), { ...nodePort, backends: backends(four()), outside: [] }));
    assert.deepEqual(await answers('client', '192.0.2.1:30080'), ['1', '2', '3', '4']);
    assert.deepEqual(await answers('pod', '10.1.0.1:30080'), ['1', '2', '3', '4']);
  });

  it('what a backend sends to no connection that is known of does not reach the client', async () => {
    await datapath.replace(routes(route(frontend('TCP 10.97.9.1:80', 'LoadBalancer'), four())));
    const program = join(rig.directory, 'stray-reset');
    execFileSync('gcc', ['-O2', '-Wall', '-o', program, join(import.meta.dirname, 'stray-reset.c')]);
    await rig.nft('table ip watch { chain c { type filter hook postrouting priority 300; tcp flags rst counter; }; }');
    const resets = async (): Promise<string | undefined> =>
      /packets (\d+)/.exec(await rig.nft('list', 'table', 'ip', 'watch'))?.[1];
    const send = (from: string) => rig.run('back', [program, from, '192.0.2.2', '8080', '40000']);
    await rig.run('back', ['ip', 'route', 'add', '192.0.2.0/24', 'via', '10.2.0.1']);
    await rig.run('back', ['ip', 'address', 'add', '10.2.0.20/24', 'dev', 'eth0']);
    await send('10.2.0.11');
    assert.equal(await resets(), '0');
    // It is no backend of ours: none of our business.
    await send('10.2.0.20');
    assert.equal(await resets(), '1');
  });

  describe('knows the node', () => {
    const CLUSTER_IP = '10.97.9.1:80';
    const UNSEEN = '10.97.9.2:80';
    let facts: NodeFacts = NO_NODE_FACTS;

    before(async () => {
      const uplinks = JSON.parse(await rig.run('node', ['ip', '-json', 'link', 'show', 'client'])) as [
        { ifindex: number },
      ];
      facts = { ...NO_NODE_FACTS, uplinks: [uplinks[0].ifindex] };
      datapath = await rig.open([], () => facts);
      await datapath.replace(
        routes(
          route(frontend(`TCP ${CLUSTER_IP}`), everywhere),
          route(frontend('TCP 0.0.0.0:30080', 'NodePort'), everywhere),
        ),
      );
    });
    const sourcesOf = async (from: string): Promise<ReadonlySet<string>> => {
      const tracked = await rig.run('node', ['conntrack', '-L', '-p', 'tcp', '--orig-src', from]);
      return new Set([...tracked.matchAll(/src=10\.2\.0\.1\d dst=(\S+) /g)].map(([, address]) => address ?? ''));
    };

    it('a client from outside the node reaches a cluster IP, with the node’s address at backends elsewhere', async () => {
      assert.deepEqual(await answers('client', CLUSTER_IP), ALL_BYTES);
      assert.deepEqual([...(await sourcesOf('192.0.2.2'))], ['10.2.0.1']);
    });

    it('a pod keeps its address, before it is known to be one', async () => {
      assert.deepEqual(await answers('pod', CLUSTER_IP), ALL_BYTES);
      assert.deepEqual([...(await sourcesOf('10.1.0.2'))], ['10.1.0.2']);
    });

    it('what another proxy translates to a backend of ours is not ours to masquerade', async () => {
      const rules = `table ip other { chain nat { type nat hook prerouting priority -100; ip daddr 10.97.9.2 tcp dport 80 dnat to 10.2.0.11:8080; }; }`;
      await rig.nft(rules);
      await silence('client', UNSEEN);
      assert.deepEqual([...(await sourcesOf('192.0.2.2'))], ['192.0.2.2']);
      await rig.nft('delete table ip other');
    });

    it('takes up which pods it has, and where NodePorts are answered, without a Service that changes', async () => {
      assert.equal(await datapath.refresh(), false);
      facts = { ...facts, pods: [cidr('10.1.0.2/32')], nodePorts: [cidr('10.2.0.0/24')] };
      await datapath.refresh();
      assert.match(await rig.nft('list set ip tombolo local-pods'), /10\.1\.0\.2/);
      assert.equal(await silence('client', '192.0.2.1:30080'), 'ECONNREFUSED');
      assert.deepEqual(await answers('back', '10.2.0.1:30080'), ALL_BYTES);
      assert.equal(await datapath.verify(), undefined);
      facts = { ...facts, nodePorts: NO_NODE_FACTS.nodePorts };
      await datapath.refresh();
      assert.deepEqual(await answers('client', '192.0.2.1:30080'), ALL_BYTES);
    });
  });
});
