/** What we write and read over netlink, beside nft itself and beside others who use nftables. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { enterNetns } from '@tombolo/lab/bench/enter-netns.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { NetlinkSocket } from '@tombolo/node-agent/datapath/netlink/socket.ts';
import { KernelTables, probeFamilies } from '@tombolo/node-agent/datapath/nftables/kernel-tables.ts';
import { NftablesDatapath } from '@tombolo/node-agent/datapath/nftables/nftables.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, Routes } from '@tombolo/shared/model/routes.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { backends, four, frontend, Rig, route, routes } from './rig.ts';

const RULES = join(import.meta.dirname, 'rules.nft');
const LOCAL_PODS = [cidr('10.1.0.0/24'), cidr('fd01::/64')];
/** The Services that rules.nft has. */
const SERVICES = routes(
  route(frontend('TCP 10.96.0.1:80'), four()),
  {
    ...route(frontend('TCP 10.96.0.2:80', 'LoadBalancer'), four(), 3600),
    outside: backends(four().slice(0, 1)),
    sourceRanges: ['192.0.2.0/24', '198.51.100.7/32'].map(cidr),
  },
  { ...route(frontend('TCP [fd96::2]:80', 'LoadBalancer'), ['[fd02::11]:8080']), sourceRanges: [cidr('fd03::/64')] },
  route(frontend('UDP 10.96.0.3:53', 'ExternalIP'), []),
  route(frontend('UDP 10.96.0.4:53'), four(53)),
  route(frontend('UDP [fd96::4]:53'), ['[fd02::11]:53', '[fd02::12]:53']),
  route(frontend('UDP 0.0.0.0:30053', 'NodePort'), four().slice(0, 3), 60),
  route(frontend('SCTP [fd96::1]:80'), ['[fd02::11]:8080']),
  { ...route(frontend('TCP [::]:30080', 'NodePort'), ['[fd02::11]:8080', '[fd02::12]:8080'], 60), outside: [] },
  { ...route(frontend('SCTP [::]:30081', 'NodePort'), ['[fd02::11]:8080']), outside: backends(['[fd02::11]:8080']) },
);
const many = (count: number): Routes =>
  routes(...Array.from({ length: count }, (_, i) => route(frontend(`TCP 10.96.${i >> 8}.${i & 255}:80`), four())));

describe('nftables: over netlink', () => {
  let rig: Rig;
  let datapath: Datapath;

  beforeEach(async function () {
    this.timeout(60_000);
    rig = await Rig.create();
    datapath = await rig.open(LOCAL_PODS);
  });

  afterEach(() => rig?.end());

  it('writes what nft makes of the same rules, sets and elements, to the byte code', async () => {
    await datapath.replace(SERVICES);
    const ours = [await blocks(rig), await byteCode(rig)];
    await rig.nft('flush', 'ruleset');
    await rig.nft('-f', RULES);
    const theirs = [await blocks(rig), await byteCode(rig)];
    for (const [i, expected] of theirs.entries()) {
      for (const [name, text] of expected) assert.equal(ours[i]?.get(name), text, name);
      const more = [...(ours[i]?.keys() ?? [])].filter((name) => !expected.has(name));
      assert.deepEqual(more, []);
    }
  });

  it('takes over what an agent left that wrote through nft, without losing a connection', async () => {
    await rig.serve(
      'back',
      four().map((address, i) => `${address}=${i + 1}`),
    );
    await rig.nft('-f', RULES);
    const load = rig.connectOn('pod', ['10.96.0.1:80', '10.96.0.2:80']);
    const found = await datapath.read();
    assert.equal(found.length, SERVICES.size);
    assert.deepEqual(await datapath.replace(SERVICES), { changed: 0, failures: [] });
    assert.deepEqual(byAddress(await datapath.read()), byAddress(found));
    assert.deepEqual((await load.finish()).errors, {});
    const again = async () => assert.deepEqual(await datapath.replace(SERVICES), { changed: 0, failures: [] });
    assert.equal(await rig.transactionsOf(again), '');
  });

  it('reads its tables completely while another writes to its own all the time', async () => {
    const services = many(3000);
    await datapath.replace(services);
    await datapath.close();
    await rig.nft('add table ip other; add set ip other s { type ipv4_addr; }');
    const handle = () => rig.nft('-a', 'list', 'tables', 'ip');
    const before = await handle();
    const writer = await rig.start('node', [
      'sh',
      '-c',
      'echo begun; while nft add element ip other s { 10.0.0.1 } && nft flush set ip other s; do :; done',
    ]);
    const second = await rig.open(LOCAL_PODS);
    assert.equal((await second.read()).length, 3000);
    assert.deepEqual(await second.replace(services), { changed: 0, failures: [] });
    writer.stop();
    // Not written anew: that would give the table another handle.
    assert.equal(await handle(), before);
  });

  it('sets the others when the kernel refuses one, says why, and writes all anew the next time', async () => {
    await datapath.replace(many(1));
    await rig.nft('add element ip tombolo slots-tcp { 10.96.0.2 . 80 . 0 : 10.2.0.11 . 1 }');
    const { changed, failures } = await datapath.apply(many(4));
    assert.equal(changed, 2);
    assert.deepEqual(
      failures.map(({ frontend: { address } }) => address),
      ['10.96.0.2'],
    );
    assert.match(failures[0]?.reason ?? '', /E[A-Z]+ .*slots-tcp/);
    assert.deepEqual(await datapath.apply(many(4)), { changed: 1, failures: [] });
    assert.equal((await datapath.read()).length, 4);
    const again = async () => assert.deepEqual(await datapath.replace(many(4)), { changed: 0, failures: [] });
    assert.equal(await rig.transactionsOf(again), '');
  });

  it('hears as much from the kernel beside large tables of others as without', async () => {
    const socket = await enterNetns(rig.netns('node'), async () => new NetlinkSocket());
    const tables = new KernelTables(socket, 'tombolo', await probeFamilies(socket, 'tombolo'));
    const ours = new NftablesDatapath(tables, undefined, undefined, { table: 'tombolo', log: silentLogger });
    const heard = async (body: () => Promise<unknown>): Promise<number> => {
      const before = socket.received;
      await body();
      return socket.received - before;
    };
    const use = async (): Promise<readonly number[]> => [
      await heard(() => ours.apply(many(1))),
      await heard(() => ours.apply(routes(route(frontend('TCP 10.96.0.0:80'), four().slice(0, 3))))),
      await heard(() => ours.replace(many(3))),
      await heard(() => ours.read()),
    ];
    await ours.replace(many(3));
    const alone = await use();
    const elements = Array.from({ length: 5000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`).join(', ');
    const chains = Array.from({ length: 500 }, (_, i) => `chain c${i} { counter; accept; }`).join('\n');
    await rig.nft(`table ip other {\n set s { type ipv4_addr; elements = { ${elements} }\n }\n ${chains}\n }`);
    assert.deepEqual(await use(), alone);
    assert.ok((alone[1] ?? 0) < 1000, `${alone[1]} bytes heard for a change`);
    await ours.close();
  });
});

const byAddress = (list: readonly FrontendRoute[]): readonly FrontendRoute[] =>
  list.toSorted((a, b) => (a.frontend.address < b.frontend.address ? -1 : 1));

/** The listing of our tables, by what each part is of; but for the marks of a layout. In sets, elements are sorted. */
async function blocks(rig: Rig): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const family of ['ip', 'ip6']) {
    const listing = await rig.nft('list', 'table', family, 'tombolo');
    for (const [, name = '', body = ''] of listing.matchAll(/\n\t(\w+ \S+) \{\n(.*?)\n\t\}/gs)) {
      if (/layout-/.test(name)) continue;
      const elements = /elements = \{ (.*?) \}/s.exec(body)?.[1]?.split(/,\s+/) ?? [];
      found.set(`${family} ${name}`, body.replace(/elements = .*/s, () => elements.toSorted().join('\n')).trim());
    }
  }
  return found;
}

/** Of each chain, the expressions of its rules; without registers, of which nft takes others for long keys. */
async function byteCode(rig: Rig): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const listing = await rig.run('node', ['sh', '-c', 'nft --debug=netlink list ruleset 2>&1']);
  for (const [, name = '', body = ''] of listing.matchAll(/^(ip6? tombolo \S+) \d+(?: \d+)?\s*\n((?: +\[ .*\n)+)/gm)) {
    const rule = body.replace(/(reg|dreg|sreg_data) \d+|jhash\(.*?\)/g, '$1');
    // Of half a word, which is nothing: nft 1.0.6 does so for a protocol in a key of intervals.
    found.set(name, `${found.get(name) ?? ''}${rule.replace(/ +\[ byteorder reg = hton\(reg, 2, 1\) \]\n/g, '')}`);
  }
  const chains = [...found].map(([name, body]) => [name.replace(' tombolo ', ' chain '), body] as const);
  return new Map(chains);
}
