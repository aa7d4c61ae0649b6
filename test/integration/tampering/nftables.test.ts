/** Others have root, too: whatever they do to our nftables is noticed, and put right. */
import assert from 'node:assert/strict';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { four, frontend, Rig, route, routes } from '../nftables/rig.ts';
import { type Keeper, keep } from './keeper.ts';

const TABLES = ['ip', 'ip6'] as const;
const WEB = '10.96.0.1:80';
const STICKY = '10.96.0.2:80';
const BOUND_MS = 5_000;
const WANTED = routes(
  route(frontend(`TCP ${WEB}`), four()),
  route(frontend(`TCP ${STICKY}`), four(), 600),
  route(frontend('UDP 10.96.0.3:53'), four()),
  route(frontend('TCP 10.96.0.4:80'), []),
  route(frontend('TCP 0.0.0.0:30080', 'NodePort'), four()),
  {
    ...route(frontend('TCP 192.0.2.100:80', 'LoadBalancer'), four()),
    outside: [],
    sourceRanges: [cidr('192.0.2.0/24')],
  },
  route(frontend('TCP [fd96::1]:80'), ['[fd02::11]:8080']),
);

/** What somebody does, and what is then said. */
const DAMAGES: readonly (readonly [name: string, nft: string, noticed: RegExp])[] = [
  ['everything is flushed', 'flush ruleset', /^table ip tombolo: it is not as it was created/],
  ['the table is deleted', 'delete table ip tombolo', /^table ip tombolo: it is not as it was created/],
  ['the other family’s table is deleted', 'delete table ip6 tombolo', /^table ip6 tombolo: /],
  ['the rules of a table are flushed', 'flush table ip tombolo', /^table ip tombolo: chain .* has 0 rules/],
  ['the rules of a hook are flushed', 'flush chain ip tombolo nat-prerouting', /chain nat-prerouting has 0 rules/],
  ['a rule that drops comes first', 'insert rule ip tombolo nat-prerouting drop', /nat-prerouting has 5 rules/],
  ['a rule is added to a choice', 'add rule ip tombolo tcp-4 counter', /chain tcp-4 has 4 rules, not 3/],
  ['a rule is replaced', 'replace rule ip tombolo balance handle HANDLE drop', /rule 1 of chain balance/],
  ['a chain drops what it does not decide', 'chain ip tombolo nat-prerouting { policy drop; }', /another policy/],
  ['the table sleeps', 'add table ip tombolo { flags dormant; }', /its flags were changed/],
  ['the frontends are flushed', 'flush map ip tombolo services', /frontend 10\.96\.0\.1:80\/TCP is not/],
  ['the cluster IPs are flushed', 'flush map ip tombolo cluster-ips', /elements that nobody put there/],
  ['the backends are flushed', 'flush map ip tombolo slots-tcp', /frontend 10\.96\.0\.1:80\/TCP is not/],
  ['affinity’s slots are flushed', 'flush map ip tombolo sticky-slots', /frontend 10\.96\.0\.2:80\/TCP is not/],
  ['affinity’s members are flushed', 'flush set ip tombolo sticky-members', /elements that nobody put there/],
  ['masquerading is flushed', 'flush set ip tombolo external', /elements that nobody put there/],
  ['source ranges are flushed', 'flush set ip tombolo guarded', /elements that nobody put there/],
  [
    'who may come is changed',
    'add element ip tombolo allowed { 192.0.2.100 . tcp . 80 . 8.8.8.8 }',
    /frontend 192\.0\.2\.100:80\/TCP is not/,
  ],
  [
    'clients outside are led as all others',
    'flush set ip tombolo outside',
    /192\.0\.2\.100:80\/TCP from outside is not as it was/,
  ],
  ['our own pods are flushed', 'flush set ip tombolo local-pods', /other elements in set local-pods/],
  ['a frontend is added', 'add element ip tombolo refused { 10.96.0.99 . tcp . 80 }', /elements that nobody put there/],
  // Last, since connection tracking remembers what was led astray.
  [
    'a backend is pointed elsewhere',
    'delete element ip tombolo slots-tcp { 10.96.0.1 . 80 . 0 }; add element ip tombolo slots-tcp { 10.96.0.1 . 80 . 0 : 10.2.0.99 . 1 }',
    /frontend 10\.96\.0\.1:80\/TCP is not/,
  ],
];

describe('nftables: what others do to it', () => {
  let rig: Rig;
  let datapath: Datapath;
  let keeper: Keeper;

  before(async () => {
    rig = await Rig.create();
    await rig.serve(
      'back',
      four().map((address, i) => `${address}=${i + 1}`),
    );
    datapath = await rig.open([cidr('10.1.0.0/24')]);
    keeper = await keep(datapath, WANTED);
  });
  after(async () => {
    await keeper?.stop();
    await rig?.end();
  });

  const works = async (): Promise<void> => {
    for (const service of [WEB, STICKY, '10.1.0.1:30080']) {
      const { failures, errors } = await rig.connect('pod', ['-n', '50', service]);
      assert.deepEqual([service, failures, errors], [service, 0, {}]);
    }
  };

  /** Rules as nft shows them, and what is served. */
  const contents = async (): Promise<unknown> => {
    const tables = await Promise.all(TABLES.map((family) => rig.nft('-t', 'list', 'table', family, 'tombolo')));
    return [tables.map((text) => text.split('\n').sort()), sorted(await datapath.read())];
  };

  it('finds nothing while nobody does anything to it, however much others write', async () => {
    await works();
    await rig.nft('add table ip others; add chain ip others c; add rule ip others c drop; delete table ip others');
    await keeper.looks(2);
    assert.equal(await datapath.verify(), undefined);
  });

  for (const [name, nft, noticed] of DAMAGES) {
    it(name, async () => {
      const before = await contents();
      const rules = await rig.nft('-a', 'list', 'chain', 'ip', 'tombolo', 'balance');
      const handle = /meta priority set .* # handle (\d+)/.exec(rules)?.[1];
      const load = rig.connectOn('pod', ['-t', '1', WEB]);
      const damage = await keeper.repairs(() => rig.nft(nft.replace('HANDLE', handle ?? '')));
      assert.match(damage, noticed);
      assert.match(damage, /; changed by nft \(process \d+\)$/);
      const { failures, connections } = await load.finish();
      console.log(`      ${failures} of ${failures + connections} connections failed meanwhile`);
      // The first packet of a connection is sent again after 1 and 3 s, which is mostly enough; and there is one client.
      assert.ok(failures <= 1, `${failures} failed`);
      await works();
      assert.deepEqual(await contents(), before);
      assert.equal(await datapath.verify(), undefined);
    });
  }
}).timeout(BOUND_MS * 3);

const sorted = (served: readonly FrontendRoute[]): readonly FrontendRoute[] =>
  served.toSorted((a, b) => compareText(frontendId(a.frontend), frontendId(b.frontend)));
