/**
 * Packets of every kind, at the network interfaces of a node and by nothing else: who is asked, who answers, whom the
 * backend sees. Nothing is known of what they do not translate: it ends in a blackhole.
 */
import assert from 'node:assert/strict';
import type { HookKind } from '@tombolo/node-agent/datapath/ebpf/packets/hooks.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { backends, four, frontend, type Place, Rig, route } from '../nftables/rig.ts';
import { PacketNode } from './node.ts';

const POD = '10.1.0.2';
const CLIENT = '192.0.2.2';
/** The node's, as backends see it. */
const NODE = '10.2.0.1';
const V6 = ['[fd02::11]:8080', '[fd02::12]:8080'];

for (const hooks of ['tcx', 'clsact'] as const satisfies readonly HookKind[]) {
  describe(`eBPF packets (${hooks})`, () => {
    let rig: Rig;
    let node: PacketNode;

    before(async function () {
      this.timeout(60_000);
      rig = await Rig.create();
      node = new PacketNode(rig, hooks);
      await node.start();
      const numbered = four().map((address, i) => `${address}=${i + 1}`);
      const numbered6 = V6.map((address, i) => `${address}=${i + 1}`);
      await rig.serve('back', [...numbered, ...numbered6]);
      await rig.serve('back', [...numbered, ...numbered6], ['-u']);
      await rig.serve('pod', ['10.1.0.2:8080=9', '[fd01::2]:8080=9']);
      await rig.serve('pod', ['10.1.0.2:8080=9', '[fd01::2]:8080=9'], ['-u']);
      for (const address of ['10.2.0.11', 'fd02::11', POD]) {
        await rig.start(address === POD ? 'pod' : 'back', [process.execPath, '-e', tellWho(address)]);
      }
    });
    after(async () => {
      await node?.end();
      await rig?.end();
    });

    const answers = async (place: Place, target: string, count = 200): Promise<readonly string[]> => {
      const { failures, errors, replies } = await rig.connect(place, ['-n', String(count), target]);
      assert.deepEqual([place, target, failures, errors], [place, target, 0, {}]);
      return Object.keys(replies).sort();
    };

    describe('reach a backend', () => {
      const ALL = ['1', '2', '3', '4'];
      before(() =>
        node.replace(
          route(frontend('TCP 10.96.0.1:80'), four()),
          route(frontend('TCP 10.97.0.1:80', 'LoadBalancer'), four()),
          route(frontend('TCP 0.0.0.0:30080', 'NodePort'), four()),
          route(frontend('TCP [fd96::1]:80'), V6),
          route(frontend('TCP [::]:30080', 'NodePort'), V6),
          route(frontend('TCP 10.96.0.2:80'), [`${POD}:8080`]),
          route(frontend('TCP [fd96::2]:80'), ['[fd01::2]:8080']),
          route(frontend('UDP 10.96.0.1:80'), four()),
          route(frontend('UDP 0.0.0.0:30080', 'NodePort'), four()),
          route(frontend('UDP [fd96::1]:80'), V6),
          route(frontend('UDP 10.96.0.2:80'), [`${POD}:8080`]),
          route(frontend('UDP [fd96::2]:80'), ['[fd01::2]:8080']),
        ),
      );

      const places: readonly [Place, string, string, readonly string[]][] = [
        ['pod', 'a cluster IP', '10.96.0.1:80', ALL],
        ['pod', 'a cluster IP over IPv6', '[fd96::1]:80', ['1', '2']],
        ['pod', 'a NodePort of its node', '10.1.0.1:30080', ALL],
        ['pod', 'a NodePort over IPv6', '[fd01::1]:30080', ['1', '2']],
        ['pod', 'itself, by a cluster IP', '10.96.0.2:80', ['9']],
        ['pod', 'itself over IPv6', '[fd96::2]:80', ['9']],
        ['client', 'a cluster IP', '10.96.0.1:80', ALL],
        ['client', 'a LoadBalancer address', '10.97.0.1:80', ALL],
        ['client', 'a NodePort', '192.0.2.1:30080', ALL],
        ['client', 'a NodePort over IPv6', '[fd03::1]:30080', ['1', '2']],
        ['client', 'a pod of this node', '10.96.0.2:80', ['9']],
      ];
      for (const [place, what, target, expected] of places) {
        it(`from the ${place}: ${what}`, async () => assert.deepEqual(await answers(place, target), expected));
      }

      it('with datagrams', async () => {
        const bytes = async (place: Place, address: string, port: number) => {
          const heard = await Promise.all([40001, 40002, 40003].map((source) => rig.udp(place, address, port, source)));
          assert.ok(
            heard.every((byte) => /^[1-49]$/.test(byte)),
            `${place} ${address}: ${heard}`,
          );
        };
        await bytes('pod', '10.96.0.1', 80);
        await bytes('pod', 'fd96::1', 80);
        await bytes('pod', '10.1.0.1', 30080);
        await bytes('pod', '10.96.0.2', 80);
        await bytes('pod', 'fd96::2', 80);
        await bytes('client', '10.96.0.1', 80);
        await bytes('client', '192.0.2.1', 30080);
      });
    });

    describe('show the backend a client', () => {
      const who = (place: Place, target: string) =>
        rig.run(place, [process.execPath, '-e', askWho(target)]).then(clean);
      const ONE = ['10.2.0.11:9090'];
      before(() =>
        node.replace(
          route(frontend('TCP 10.96.0.1:80'), ONE),
          route(frontend('TCP 0.0.0.0:30080', 'NodePort'), ONE),
          route(frontend('TCP [fd96::1]:80'), ['[fd02::11]:9090']),
          route(frontend('TCP [::]:30080', 'NodePort'), ['[fd02::11]:9090']),
          route(frontend('TCP 10.96.0.2:80'), [`${POD}:9090`]),
          { ...route(frontend('TCP 10.97.0.9:80', 'LoadBalancer'), ONE), outside: backends([`${POD}:9090`]) },
        ),
      );
      const seen: readonly [Place, string, string, string][] = [
        ['pod', '10.96.0.1:80', POD, 'a pod is seen as itself'],
        ['pod', '[fd96::1]:80', 'fd01::2', 'also over IPv6'],
        ['pod', '10.1.0.1:30080', POD, 'also through a NodePort'],
        ['pod', '10.96.0.2:80', '10.96.0.2', 'but by itself, as the service'],
        ['client', '10.96.0.1:80', NODE, 'one outside is seen as the node where the backend is elsewhere'],
        ['client', '192.0.2.1:30080', NODE, 'also through a NodePort'],
        ['client', '[fd03::1]:30080', 'fd02::1', 'also over IPv6'],
        ['client', '10.96.0.2:80', CLIENT, 'but as itself by a pod of this node'],
        ['client', '10.97.0.9:80', CLIENT, 'which is all that it gets where traffic is local'],
        ['pod', '10.97.0.9:80', POD, 'while pods get all'],
      ];
      for (const [place, target, expected, what] of seen) {
        it(what, async () => assert.equal(await who(place, target), expected));
      }
    });

    describe('let in from outside by source ranges', () => {
      const who = (place: Place, target: string) =>
        rig.run(place, [process.execPath, '-e', askWho(target)]).then(clean);
      const guarded = (
        address: string,
        ranges: readonly string[],
        more: Partial<FrontendRoute> = {},
      ): FrontendRoute => {
        const to = address.startsWith('[') ? '[fd02::11]:9090' : '10.2.0.11:9090';
        const balanced = route(frontend(`TCP ${address}:80`, 'LoadBalancer'), [to]);
        return { ...balanced, ...more, sourceRanges: ranges.map(cidr) };
      };
      before(() =>
        node.replace(
          guarded('10.97.1.1', ['198.51.100.0/24', '192.0.2.0/24']),
          guarded('10.97.1.2', ['192.0.2.2/32']),
          guarded('[fd96::61]', ['fd03::/64']),
          guarded('10.97.1.3', ['192.0.2.2/31'], { outside: backends([`${POD}:9090`]) }),
          guarded('10.97.2.1', ['198.51.100.0/24', '192.0.2.128/25']),
          guarded('10.97.2.2', ['192.0.2.3/32', '192.0.2.4/30']),
          guarded('[fd96::62]', ['fd04::/64', 'fd03::3/128']),
          guarded('10.97.2.3', ['192.0.2.2/32'], { outside: [] }),
        ),
      );
      const seen: readonly [Place, string, string, string][] = [
        ['client', '10.97.1.1:80', NODE, 'one of several'],
        ['client', '10.97.1.2:80', NODE, 'a single address'],
        ['client', '[fd96::61]:80', 'fd02::1', 'also over IPv6'],
        ['client', '10.97.1.3:80', CLIENT, 'as itself, where traffic is local'],
        ['pod', '10.97.2.1:80', POD, 'while a pod of any address may ask'],
        ['pod', '[fd96::62]:80', 'fd01::2', 'also over IPv6'],
      ];
      for (const [place, target, expected, what] of seen) {
        it(what, async () => assert.equal(await who(place, target), expected));
      }
      it('nobody else, who is left to nftables', async () => {
        const targets = ['10.97.2.1:80', '10.97.2.2:80', '[fd96::62]:80', '10.97.2.3:80'];
        assert.deepEqual(await Promise.all(targets.map((target) => who('client', target))), Array(4).fill('silence'));
      });
    });

    describe('carry errors and large packets', () => {
      before(() =>
        node.replace(
          route(frontend('TCP 10.96.0.1:80'), ['10.2.0.11:9090']),
          route(frontend('TCP [fd96::1]:80'), ['[fd02::11]:9090']),
          route(frontend('TCP 0.0.0.0:30080', 'NodePort'), ['10.2.0.11:9090']),
          route(frontend('TCP [::]:30080', 'NodePort'), ['[fd02::11]:9090']),
          route(frontend('UDP 10.96.0.1:80'), ['10.2.0.11:9090']),
          route(frontend('UDP [fd96::1]:80'), ['[fd02::11]:9090']),
          route(frontend('UDP 0.0.0.0:30080', 'NodePort'), ['10.2.0.11:9090']),
          route(frontend('UDP 10.96.0.9:80'), ['10.2.0.11:9']),
          route(frontend('UDP [fd96::9]:80'), ['[fd02::11]:9']),
          route(frontend('UDP 0.0.0.0:30009', 'NodePort'), ['10.2.0.11:9']),
        ),
      );
      // Of the routes, not of the links, which would drop what they take for too large themselves.
      const NETWORKS = {
        pod: ['10.1.0.0/24', 'fd01::/64'],
        back: ['10.2.0.0/24', 'fd02::/64'],
        client: ['192.0.2.0/24', 'fd03::/64'],
      };
      const mtu = async (device: 'pod' | 'back' | 'client', bytes: number) => {
        for (const network of NETWORKS[device]) {
          const route = ['route', 'replace', network, 'dev', device, 'proto', 'kernel', 'mtu', 'lock', String(bytes)];
          await rig.run('node', ['ip', ...(network.includes(':') ? ['-6'] : []), ...route]);
        }
      };
      afterEach(async () => {
        for (const device of ['pod', 'back', 'client'] as const) await mtu(device, 1500);
        for (const place of ['pod', 'back', 'client'] as const) {
          await rig.run(place, ['ip', 'route', 'flush', 'cache']);
          await rig.run(place, ['ip', '-6', 'route', 'flush', 'cache']);
        }
      });
      const targets: readonly ['pod' | 'client', string][] = [
        ['pod', '10.96.0.1:80'],
        ['pod', '[fd96::1]:80'],
        ['client', '192.0.2.1:30080'],
        ['client', '[fd03::1]:30080'],
      ];
      for (const [place, target] of targets) {
        it(`${place} to ${target}: too big on the way to the backend`, async () => {
          await mtu('back', 1300);
          assert.equal(clean(await rig.run(place, [process.execPath, '-e', transfer(target)])), '300000 300000');
        });
        it(`${place} to ${target}: too big on the way to the client`, async () => {
          await mtu(place, 1300);
          assert.equal(clean(await rig.run(place, [process.execPath, '-e', transfer(target)])), '300000 300000');
        });
      }
      for (const [place, address, port] of [
        ['pod', '10.96.0.1', 80],
        ['pod', 'fd96::1', 80],
        ['client', '192.0.2.1', 30080],
      ] as const) {
        it(`${place} to ${address}: datagrams in fragments`, async () => {
          assert.equal(clean(await rig.run(place, [process.execPath, '-e', echo(address, port, 4000)])), '4000');
        });
      }
      for (const [place, address, port] of [
        ['pod', '10.96.0.9', 80],
        ['pod', 'fd96::9', 80],
        ['client', '192.0.2.1', 30009],
      ] as const) {
        it(`${place} to ${address}: nobody listens there`, async () => {
          assert.equal(await rig.udp(place, address, port, 41000), 'ECONNREFUSED');
        });
      }
    });
  });
}

const clean = (text: string): string => text.trim().replace('::ffff:', '');

/** Answers a client with its address; one that says more, with as much. Echoes datagrams. */
const tellWho = (address: string): string => `
  require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
    let heard = 0;
    socket.on('data', (data) => { heard += data.length; });
    socket.on('end', () => heard > 1 ? socket.end(Buffer.alloc(heard)) : socket.end(socket.remoteAddress));
    socket.on('error', () => {});
  }).listen({ port: 9090, host: '${address}' }, () => {
    const udp = require('node:dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
    udp.on('message', (message, { port, address }) => udp.send(message, port, address));
    udp.bind(9090, '${address}', () => console.log('ready'));
  });`;

const connectTo = (target: string): string => {
  const [, host, port] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(target) ?? [];
  return `require('node:net').connect({ host: '${host}', port: ${port}, allowHalfOpen: true })`;
};

const askWho = (target: string): string => `
  const socket = ${connectTo(target)};
  socket.end('?');
  socket.on('data', (data) => { console.log(String(data)); });
  socket.on('error', (error) => { console.log(error.code); });
  setTimeout(() => { console.log('silence'); process.exit(); }, 5000).unref();`;

/** Sends so much, hears so much. */
const transfer = (target: string): string => `
  const socket = ${connectTo(target)};
  let heard = 0;
  socket.end(Buffer.alloc(300000));
  socket.on('data', (data) => { heard += data.length; });
  socket.on('end', () => { console.log(socket.bytesWritten, heard); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  setTimeout(() => { console.log('stuck at', socket.bytesWritten, heard); process.exit(); }, 8000);`;

const echo = (address: string, port: number, bytes: number): string => `
  const socket = require('node:dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
  socket.on('message', (message) => { console.log(message.length); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  setTimeout(() => { console.log('silence'); process.exit(); }, 3000);
  socket.connect(${port}, '${address}', () => socket.send(Buffer.alloc(${bytes})));`;
