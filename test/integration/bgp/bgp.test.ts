/** What this node says by BGP, as real routers have it in their tables: FRR and BIRD, from FRR beside the agent. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Bird, Frr, RouterSegment, until } from '@tombolo/lab/segment/routers.ts';
import { FrrEngine } from '@tombolo/node-agent/announce/bgp/engine.ts';
import { bfddLines, bgpdLines } from '@tombolo/node-agent/announce/bgp/frr-config.ts';
import { type BgpResources, planBgp, type Stay } from '@tombolo/node-agent/announce/bgp/plan.ts';
import { bgpConnections, RivalSpeakers } from '@tombolo/node-agent/announce/bgp/rival-speakers.ts';
import type { ServiceAddress } from '@tombolo/node-agent/announce/service-address.ts';
import { NetlinkSocket } from '@tombolo/node-agent/datapath/netlink/socket.ts';
import { NETLINK_SOCK_DIAG } from '@tombolo/node-agent/datapath/sockets/inet-diag.ts';
import { inNamespace } from '@tombolo/node-agent/datapath/sockets/namespaces.ts';
import type { BgpAdvertisement, BgpPeer } from '@tombolo/shared/model/bgp.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { recordFault, stopwatch } from '../../faults.ts';

const NOTHING: BgpResources = {
  ...{ peers: [], advertisements: [], bfdProfiles: [], aliases: new Map(), policies: [], clusterConfigs: [] },
  ...{ peerConfigs: new Map(), ciliumAdvertisements: [], overrides: [], passwords: new Map() },
};
const peer = (address: string, more: Partial<BgpPeer> = {}): BgpPeer => ({
  ...{ name: `to-${address}`, nodes: [], myAsn: 65_010, peerAsn: 65_000, address: ip(address), port: 179, timers: {} },
  ...{ gracefulRestart: false, multihop: false, dualStack: true },
  ...more,
});
const advertisement = (more: Partial<BgpAdvertisement> = {}): BgpAdvertisement => ({
  ...{ name: 'all', pools: { names: [], labels: [] }, services: [], nodes: [], peers: [], communities: [] },
  aggregation: { 4: 32, 6: 128 },
  ...more,
});
const address = (text: string, more: Partial<ServiceAddress> = {}): ServiceAddress => ({
  ...{ service: serviceKey('shop', 'cart'), labels: {}, kind: 'LoadBalancer', address: ip(text), policy: 'Cluster' },
  ...{ loadBalancerClass: '', isShared: false, pools: [{ product: 'metallb', name: 'wan', labels: {} }] },
  ...{ servingNodes: new Set<string>(), isServed: true, obstacle: undefined },
  ...{ drains: false, anycast: false, remoteOnly: undefined },
  ...more,
});

const ROUTER = (asn: number, more = '') => `
bgp no-rib
router bgp ${asn}
 bgp router-id 10.78.0.200
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart
 bgp bestpath as-path multipath-relax
${more}
`;
const accepts = (address: string, asn: number, more: readonly string[] = []): string =>
  [
    `neighbor ${address} remote-as ${asn}`,
    `neighbor ${address} passive`,
    ...more.map((each) => `neighbor ${address} ${each}`),
    ...['ipv4', 'ipv6'].flatMap((family) => [
      `address-family ${family} unicast`,
      `neighbor ${address} activate`,
      'exit-address-family',
    ]),
  ]
    .map((line) => ` ${line}`)
    .join('\n');

interface FrrRoute {
  readonly paths: readonly {
    readonly aspath: { readonly string: string };
    readonly locPrf?: number;
    readonly community?: { readonly string: string };
    readonly largeCommunity?: { readonly string: string };
    readonly stale?: boolean;
    readonly nexthops: readonly { readonly ip: string }[];
  }[];
}

describe('BGP, as real routers see it', () => {
  let segment: RouterSegment;
  let node: Frr;
  let router: Frr;
  let engine: FrrEngine;
  let at: Readonly<Record<'node' | 'router' | 'second', { readonly v4: string; readonly v6: string }>>;

  beforeEach(() => {
    segment = new RouterSegment();
    at = { node: segment.addHost('node'), router: segment.addHost('router'), second: segment.addHost('second') };
    node = new Frr(segment.place('node'), true);
    router = new Frr(segment.place('router'), false);
    engine = new FrrEngine(node.directory);
  });
  afterEach(() => segment?.end());

  async function announce(
    resources: Partial<BgpResources>,
    addresses: readonly ServiceAddress[],
    of = engine,
    stay: Stay = 'full',
  ): Promise<readonly string[]> {
    const intent = planBgp({ ...NOTHING, ...resources }, { name: 'node', labels: {} }, addresses, stay);
    const bfd = await of.apply('bfdd', bfddLines(intent), true);
    return [...intent.problems, ...bfd, ...(await of.apply('bgpd', bgpdLines(intent), true))];
  }

  const routeIn = async (frr: Frr, prefix: string): Promise<FrrRoute | undefined> => {
    const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
    const route = await frr.ask<FrrRoute>(`show bgp ${family} unicast ${prefix} json`);
    return route.paths?.length > 0 ? route : undefined;
  };
  const untilRoute = (prefix: string, count = 1): Promise<FrrRoute> =>
    until(`${prefix} at the router`, async () => {
      const route = await routeIn(router, prefix);
      return route?.paths.length === count && route;
    });
  const untilGone = (prefix: string): Promise<unknown> =>
    until(`${prefix} to be gone`, async () => (await routeIn(router, prefix)) === undefined);

  it('FRR has both families over one session with a password, with communities of every kind', async () => {
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010, ['password secret'])))]);
    const problems = await announce(
      {
        peers: [peer(at.router.v4, { passwordSecret: { namespace: 'metallb-system', name: 'tor' } })],
        advertisements: [advertisement({ communities: ['65000:7', 'no-advertise', 'large:1:2:3', 'back'] })],
        aliases: new Map([['back', '65000:8']]),
        passwords: new Map([['metallb-system/tor', 'secret']]),
      },
      [address('192.0.2.1'), address('2001:db8::1')],
    );
    assert.deepEqual(problems, []);
    for (const prefix of ['192.0.2.1/32', '2001:db8::1/128']) {
      const [path] = (await untilRoute(prefix)).paths;
      assert.equal(path?.aspath.string, '65010');
      assert.equal(path?.community?.string, '65000:7 65000:8 no-advertise');
      assert.equal(path?.largeCommunity?.string, '1:2:3');
      const hops = path?.nexthops.map((hop) => hop.ip) ?? [];
      assert.ok(hops.includes(prefix.includes(':') ? at.node.v6 : at.node.v4), `${hops}`);
    }
  });

  it('what changes about Services resets no session, and is withdrawn at once', async () => {
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010)))]);
    const peers = [peer(at.router.v4)];
    const advertisements = [
      advertisement(),
      advertisement({
        name: 'more',
        services: [[{ key: 'vip', operator: 'Exists', values: [] }]],
        communities: ['65000:9'],
      }),
    ];
    await announce({ peers, advertisements }, [address('192.0.2.1')]);
    await untilRoute('192.0.2.1/32');
    const drops = async () => {
      const { [at.node.v4]: about } = await router.ask<Record<string, { connectionsDropped: number }>>(
        `show bgp neighbors ${at.node.v4} json`,
      );
      return about?.connectionsDropped;
    };
    const before = await drops();
    await announce({ peers, advertisements }, [address('192.0.2.1'), address('192.0.2.2', { labels: { vip: '1' } })]);
    assert.equal((await untilRoute('192.0.2.2/32')).paths[0]?.community?.string, '65000:9');
    // Its attributes change.
    await announce({ peers, advertisements }, [address('192.0.2.1', { labels: { vip: '1' } })]);
    await untilGone('192.0.2.2/32');
    await until(
      'its community',
      async () => (await routeIn(router, '192.0.2.1/32'))?.paths[0]?.community?.string === '65000:9',
    );
    await announce({ peers, advertisements }, [address('192.0.2.1', { obstacle: 'noEndpoints' })]);
    await untilGone('192.0.2.1/32');
    assert.equal(await drops(), before);
  });

  it('BIRD has it by iBGP, with local preference, over a session of several hops', async () => {
    await node.start();
    const bird = new Bird(
      segment,
      'second',
      `router id 10.78.0.3;
       protocol device {}
       protocol bgp node { local ${at.second.v4} as 65010; neighbor ${at.node.v4} as 65010; multihop 3; passive on;
         ipv4 { import all; export none; }; ipv6 { import all; export none; }; }`,
    );
    const peers = [peer(at.second.v4, { peerAsn: 65_010, multihop: true, sourceAddress: ip(at.node.v4) })];
    const advertisements = [advertisement({ localPreference: 250, aggregation: { 4: 24, 6: 64 } })];
    await announce({ peers, advertisements }, [
      address('192.0.2.1'),
      address('2001:db8::1'),
      address('198.51.100.7', { policy: 'Local' }),
    ]);
    const table = await until('the routes', async () => {
      const shown = await bird.show('route all');
      return shown.includes('192.0.2.0/24') && shown.includes('2001:db8::/64') && shown;
    });
    assert.match(table, /BGP\.local_pref: 250/);
    // Of an address that only some nodes may be asked for, no more is announced than itself.
    assert.match(table, /198\.51\.100\.7\/32/);
  });

  it('two nodes share the traffic of an address', async () => {
    const others = new Frr(segment.place('second'), true);
    const both = [at.node.v4, at.second.v4].map((each) => accepts(each, 65_010)).join('\n');
    const config = ROUTER(65_000, both).replace('bgp no-rib', '');
    await Promise.all([node.start(), others.start(), router.start(config)]);
    segment.ip('router', 'route add blackhole 192.0.2.0/24 metric 4000');
    await segment.run('router', ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/fib_multipath_hash_policy']);
    const resources = { peers: [peer(at.router.v4)], advertisements: [advertisement()] };
    for (const each of [engine, new FrrEngine(others.directory)])
      assert.deepEqual(await announce(resources, [address('192.0.2.1')], each), []);
    await untilRoute('192.0.2.1/32', 2);
    await until('both ways in the kernel', async () => {
      const [route] = JSON.parse(await segment.run('router', ['ip', '-j', 'route', 'show', '192.0.2.1'])) as {
        nexthops?: unknown[];
      }[];
      return route?.nexthops?.length === 2;
    });
    for (const host of ['node', 'second']) {
      segment.ip(host, 'addr add 192.0.2.1/32 dev lo');
      await segment.run(host, [
        'nft',
        `add table ip seen; add chain ip seen in { type filter hook input priority 0; }; add rule ip seen in ip daddr 192.0.2.1 counter`,
      ]);
    }
    const script = `const s = require('node:dgram').createSocket('udp4'); let n = 0;
      const next = () => n++ < 400 ? s.send('x', 1000 + n, '192.0.2.1', next) : s.close(); next();`;
    await segment.run('router', [process.execPath, '-e', script]);
    for (const host of ['node', 'second']) {
      const counted = Number(
        /packets (\d+)/.exec(await segment.run(host, ['nft', 'list', 'table', 'ip', 'seen']))?.[1],
      );
      assert.ok(counted > 100, `${host} had ${counted} of 400`);
    }
  });

  /** Answers datagrams with the name of the host, at every address. */
  function answering(host: string): ChildProcess {
    const script = `const s = require('node:dgram').createSocket('udp4');
      s.on('message', (_, { port, address }) => s.send('${host}', port, address)); s.bind(7);`;
    return segment.spawn(host, [process.execPath, '-e', script]);
  }

  /** Asks without a pause, each time from a port of its own; stops when told to. */
  function asking(host: string, address: string) {
    const script = `const { createSocket } = require('node:dgram');
      const ask = () => new Promise((resolve) => {
        const s = createSocket('udp4');
        const end = (by) => { clearTimeout(late); s.close(); resolve(by); };
        const late = setTimeout(() => end('nobody'), 1000);
        s.once('message', (by) => end(String(by)));
        s.once('error', () => end('nobody'));
        s.send('?', 7, '${address}', (error) => { if (error) end('nobody'); });
      });
      (async () => { for (;;) process.stdout.write((await ask()) + '\\n'); })();`;
    const child = spawn('nsenter', [`--net=/run/netns/${segment.netns(host)}`, process.execPath, '-e', script]);
    const answers: string[] = [];
    let rest = '';
    child.stdout.on('data', (part: Buffer) => {
      const lines = `${rest}${part}`.split('\n');
      rest = lines.pop() ?? '';
      answers.push(...lines);
    });
    const more = (count: number) => {
      const wanted = answers.length + count;
      return until(`${count} answers`, async () => answers.length >= wanted);
    };
    const stop = async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
    return { answers, more, stop };
  }

  it('a node that leaves is the last resort first: routers go elsewhere before it withdraws, and no request is lost', async () => {
    const others = new Frr(segment.place('second'), true);
    const both = [at.node.v4, at.second.v4].map((each) => accepts(each, 65_010)).join('\n');
    await Promise.all([
      ...[node.start(), others.start()],
      router.start(ROUTER(65_000, both).replace('bgp no-rib', '')),
    ]);
    segment.ip('router', 'route add blackhole 192.0.2.0/24 metric 4000');
    await segment.run('router', ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/fib_multipath_hash_policy']);
    const resources = { peers: [peer(at.router.v4)], advertisements: [advertisement({ communities: ['65000:7'] })] };
    const excluded = [address('192.0.2.1', { obstacle: 'nodeExcluded', drains: true })];
    for (const host of ['node', 'second']) {
      segment.ip(host, 'addr add 192.0.2.1/32 dev lo');
      answering(host);
    }
    for (const each of [engine, new FrrEngine(others.directory)])
      assert.deepEqual(await announce(resources, [address('192.0.2.1')], each), []);
    await untilRoute('192.0.2.1/32', 2);
    const hops = async () => segment.run('router', ['ip', 'route', 'show', '192.0.2.1']);
    await until('both ways in the kernel', async () => (await hops()).split('via').length === 3);
    const { answers, more, stop } = asking('router', '192.0.2.1');
    try {
      await until('both to answer', async () => new Set(answers).size === 2);
      // Gives no error, and no other attribute is lost.
      assert.deepEqual(await announce(resources, excluded, engine, 'last resort'), []);
      await until('the other way alone', async () => !(await hops()).includes(at.node.v4));
      const { paths } = await untilRoute('192.0.2.1/32', 2);
      const leaving = paths.find(({ nexthops }) => nexthops.some(({ ip: hop }) => hop === at.node.v4));
      assert.equal(leaving?.community?.string, '65000:7 graceful-shutdown');
      const moved = answers.length + 1;
      await more(200);
      assert.deepEqual(await announce(resources, excluded, engine, 'gone'), []);
      await untilRoute('192.0.2.1/32');
      await more(200);
      assert.deepEqual([...new Set(answers.slice(moved))], ['second']);
      assert.ok(!answers.includes('nobody'), `${answers.length} answers`);
    } finally {
      await stop();
    }
  });

  it('one address of two clusters: a router prefers the one that has backends, and no request is lost', async () => {
    // Each cluster has its own number, and a node that the router sees.
    const [east, west] = [65_010, 65_020];
    const others = new Frr(segment.place('second'), true);
    const both = [accepts(at.node.v4, east), accepts(at.second.v4, west)].join('\n');
    await Promise.all([
      ...[node.start(), others.start()],
      router.start(ROUTER(65_000, both).replace('bgp no-rib', '')),
    ]);
    segment.ip('router', 'route add blackhole 192.0.2.0/24 metric 4000');
    await segment.run('router', ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/fib_multipath_hash_policy']);
    for (const host of ['node', 'second']) {
      segment.ip(host, 'addr add 192.0.2.1/32 dev lo');
      answering(host);
    }
    const say = async (cluster: 'east' | 'west', more: Partial<ServiceAddress> = {}): Promise<void> => {
      const [of, myAsn] = cluster === 'east' ? [engine, east] : [new FrrEngine(others.directory), west];
      const resources = { peers: [peer(at.router.v4, { myAsn })], advertisements: [advertisement()] };
      assert.deepEqual(await announce(resources, [address('192.0.2.1', { anycast: true, ...more })], of), []);
    };
    const nodeOf = { east: at.node.v4, west: at.second.v4 };
    const untilAt = (...clusters: readonly ('east' | 'west')[]) =>
      until(`${clusters}`, async () => {
        const route = await segment.run('router', ['ip', 'route', 'show', '192.0.2.1']);
        return (['east', 'west'] as const).every(
          (each) => route.includes(`via ${nodeOf[each]} `) === clusters.includes(each),
        );
      });
    await say('east');
    await say('west');
    await untilAt('east', 'west');
    const { answers, more, stop } = asking('router', '192.0.2.1');
    const only = async (name: string): Promise<void> => {
      const from = answers.length + 1;
      await more(100);
      assert.deepEqual([...new Set(answers.slice(from))], [name]);
    };
    try {
      await until('both to answer', async () => new Set(answers).size === 2);
      // The last backend of east is gone: its nodes would lead to west's.
      await say('east', { remoteOnly: 'lower-preference' });
      await untilAt('west');
      await only('second');
      const [path] = (await untilRoute('192.0.2.1/32', 2)).paths.filter(({ aspath }) =>
        aspath.string.startsWith(`${east}`),
      );
      assert.equal(path?.aspath.string, `${east} ${east} ${east} ${east}`);
      // West does not announce any more: whoever is left.
      await say('west', { obstacle: 'noEndpoints' });
      await untilAt('east');
      await only('node');
      await say('west');
      await untilAt('west');
      await say('east', { remoteOnly: 'withdraw', obstacle: 'remoteOnly' });
      await untilRoute('192.0.2.1/32');
      await only('second');
      await say('east');
      await untilAt('east', 'west');
      assert.ok(!answers.includes('nobody'), `${answers.length} answers`);
    } finally {
      await stop();
    }
  });

  it('of the last resort is preferred last within its own AS, where nobody has to know a community for that', async () => {
    await node.start();
    const bird = new Bird(
      segment,
      'second',
      `router id 10.78.0.3;
       protocol device {}
       protocol bgp node { local ${at.second.v4} as 65010; neighbor ${at.node.v4} as 65010; passive on;
         ipv4 { import all; export none; }; ipv6 { import all; export none; }; }`,
    );
    const peers = [peer(at.second.v4, { peerAsn: 65_010 })];
    const advertisements = [advertisement({ localPreference: 250, communities: ['65000:7'] })];
    const all = [address('192.0.2.1'), address('2001:db8::1')];
    await announce({ peers, advertisements }, all);
    const shows = (...wanted: readonly RegExp[]) =>
      until(`${wanted}`, async () => {
        const shown = await bird.show('route all');
        return wanted.every((each) => (shown.match(each)?.length ?? 0) === 2);
      });
    await shows(/BGP\.local_pref: 250/g, /BGP\.community: \(65000,7\)\n/g);
    await announce({ peers, advertisements }, all, engine, 'last resort');
    await shows(/BGP\.local_pref: 0\n/g, /BGP\.community: \(65000,7\)/g);
    await announce({ peers, advertisements }, all);
    await shows(/BGP\.local_pref: 250/g, /BGP\.community: \(65000,7\)\n/g);
  });

  it('is left for good by what takes an agent off its node: as the last resort, and then not at all', async () => {
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010)))]);
    await announce({ peers: [peer(at.router.v4)], advertisements: [advertisement()] }, [address('192.0.2.1')]);
    await untilRoute('192.0.2.1/32');
    const leaving = engine.leave(2_000);
    await until('the community', async () =>
      (await routeIn(router, '192.0.2.1/32'))?.paths[0]?.community?.string.includes('graceful-shutdown'),
    );
    assert.deepEqual(await leaving, []);
    await untilGone('192.0.2.1/32');
    assert.doesNotMatch(await node.text('show running-config'), /router bgp|tombolo/);
    // Nothing to do, and nothing of others touched.
    assert.deepEqual(await engine.leave(0), []);
    await node.kill();
    await node.start(`router bgp 65099\n neighbor 10.78.0.99 remote-as 65098\n`);
    assert.match(`${await engine.leave(0)}`, /left alone/);
  });

  it('an engine that starts anew has its configuration again, and the router keeps the routes meanwhile', async () => {
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010)))]);
    const resources = {
      peers: [peer(at.router.v4, { gracefulRestart: true, timers: { connectSeconds: 1 } })],
      advertisements: [advertisement()],
    };
    const addresses = [address('192.0.2.1'), address('2001:db8::1')];
    await announce(resources, addresses);
    await untilRoute('192.0.2.1/32');
    await untilRoute('2001:db8::1/128');
    const lost: string[] = [];
    let isWatching = true;
    const watching = (async () => {
      while (isWatching)
        for (const prefix of ['192.0.2.1/32', '2001:db8::1/128'])
          if (!(await routeIn(router, prefix))) lost.push(prefix);
    })();
    await node.kill();
    await until('the router to notice', async () => (await routeIn(router, '192.0.2.1/32'))?.paths[0]?.stale);
    await node.start();
    assert.deepEqual(await announce(resources, addresses), []);
    for (const prefix of ['192.0.2.1/32', '2001:db8::1/128'])
      await until('fresh routes', async () => (await routeIn(router, prefix))?.paths[0]?.stale !== true);
    isWatching = false;
    await watching;
    recordFault({ fault: 'routing engine is killed, and started', way: 'BGP' });
    assert.deepEqual(lost, []);
  });

  it('a router that starts anew is told again', async () => {
    const config = ROUTER(65_000, accepts(at.node.v4, 65_010));
    await Promise.all([node.start(), router.start(config)]);
    const peers = [peer(at.router.v4, { timers: { connectSeconds: 1 } })];
    await announce({ peers, advertisements: [advertisement()] }, [address('192.0.2.1')]);
    await untilRoute('192.0.2.1/32');
    await router.kill();
    await router.start(config);
    const took = stopwatch();
    await untilRoute('192.0.2.1/32');
    recordFault({ fault: 'router restarts', way: 'BGP', tookMs: took() });
  });

  it('a router that is spoken to no more has nothing left, though it keeps routes over restarts', async () => {
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010)))]);
    const graceful = peer(at.router.v4, { gracefulRestart: true });
    const other = peer(at.second.v4);
    const advertisements = [advertisement()];
    for (const peers of [[graceful, other], [graceful]]) {
      await announce({ peers, advertisements }, [address('192.0.2.1')]);
      await untilRoute('192.0.2.1/32');
      // The other one stays, or nobody.
      assert.deepEqual(await announce({ peers: peers.slice(1), advertisements }, [address('192.0.2.1')]), []);
      await untilGone('192.0.2.1/32');
    }
  });

  it('BFD ends a session within its time, long before BGP would', async () => {
    const bfd = accepts(at.node.v4, 65_010, ['bfd']);
    await Promise.all([node.start(), router.start(ROUTER(65_000, bfd))]);
    const profile = { name: 'fast', transmitMs: 100, receiveMs: 100, passive: false, echo: false };
    const peers = [peer(at.router.v4, { bfdProfile: 'fast' })];
    assert.deepEqual(
      await announce({ peers, advertisements: [advertisement()], bfdProfiles: [profile] }, [address('192.0.2.1')]),
      [],
    );
    await untilRoute('192.0.2.1/32');
    await until('BFD', async () => /Status: up/.test(await router.text('show bfd peers', 'bfdd')));
    const took = stopwatch();
    segment.ip('switch', 'link set port-node down');
    // The hold time is 180 s.
    await untilGone('192.0.2.1/32');
    recordFault({ fault: 'BFD sees a link down', way: 'BGP', tookMs: took() });
  });

  it('an engine that somebody else has configured is left alone, and so is what stands beside ours', async () => {
    await node.start(`router bgp 65099\n neighbor 10.78.0.99 remote-as 65098\n`);
    const resources = { peers: [peer(at.router.v4)], advertisements: [advertisement()] };
    assert.deepEqual(await announce(resources, [address('192.0.2.1')]), [
      'FRR is left alone: its neighbor 10.78.0.99 is not of ours',
    ]);
    assert.match(await node.text('show running-config'), /neighbor 10\.78\.0\.99 remote-as 65098/);
    await node.kill();
    await node.start(
      'ip prefix-list theirs seq 5 permit 198.51.100.0/24\nroute-map theirs permit 10\n match ip address prefix-list theirs\n',
    );
    assert.deepEqual(await announce(resources, [address('192.0.2.1')]), []);
    assert.deepEqual(await announce({}, []), []);
    const left = await node.text('show running-config');
    assert.match(left, /route-map theirs permit 10/);
    assert.doesNotMatch(left, /router bgp|tombolo/);
  });

  it('another speaker on the node is seen, whichever of the two the router takes, and its end, too', async () => {
    const config = `router id ${at.node.v4}; protocol device {}
      protocol bgp rival { local ${at.node.v4} as 65010; neighbor ${at.router.v4} as 65000; connect delay time 1;
        connect retry time 1; error wait time 1, 2; ipv4 { import none; export none; }; }`;
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010)))]);
    const resources = {
      peers: [peer(at.router.v4, { timers: { connectSeconds: 1 } })],
      advertisements: [advertisement()],
    };
    const inNode = (): NetlinkSocket =>
      inNamespace(`/run/netns/${segment.netns('node')}`, () => new NetlinkSocket(NETLINK_SOCK_DIAG));
    const speakers = new RivalSpeakers();
    const look = async (): Promise<number> => {
      const connections = await bgpConnections([{ address: ip(at.router.v4), port: 179 }], inNode);
      speakers.look(connections, await engine.sessions());
      return speakers.rivals.length;
    };
    const established = async () =>
      (await engine.peers()).some(({ state, family }) => family === 4 && state === 'Established');
    // FRR alone.
    await announce(resources, [address('192.0.2.1')]);
    await until('our session', established);
    for (const _ of ['once', 'again', 'and again']) assert.equal(await look(), 0);
    // The other one is there first.
    await announce({}, []);
    const bird = new Bird(segment, 'node', config);
    await until('its session', async () => /Established/.test(await bird.show('protocols')));
    await announce(resources, [address('192.0.2.1')]);
    await until('it to be seen', async () => (await look()) === 1);
    assert.equal(speakers.rivals[0]?.router, at.router.v4);
    bird.stop();
    await until('its end', async () => (await look()) === 0);
  });

  it('a thousand addresses are announced, and one of them is withdrawn', async () => {
    await Promise.all([node.start(), router.start(ROUTER(65_000, accepts(at.node.v4, 65_010)))]);
    const resources = { peers: [peer(at.router.v4)], advertisements: [advertisement()] };
    const all = Array.from({ length: 1_000 }, (_, i) => address(`198.18.${i >> 8}.${i & 255}`));
    assert.deepEqual(await announce(resources, all), []);
    const count = async () =>
      (await router.ask<{ totalRoutes?: number; ribCount?: number; routes?: object }>('show bgp ipv4 unicast json'))
        .routes;
    await until('all of them', async () => Object.keys((await count()) ?? {}).length === 1_000);
    assert.deepEqual(await announce(resources, all.slice(1)), []);
    await untilGone('198.18.0.0/32');
    assert.equal(Object.keys((await count()) ?? {}).length, 999);
  });
});
