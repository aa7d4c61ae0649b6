import assert from 'node:assert/strict';
import { ip, parseNetwork } from '@tombolo/shared/model/ip.ts';
import { bgpdLines, commandsBetween, foreignIn, lastResortOf, linesOf, networksIn } from './frr-config.ts';
import type { BgpIntent, Neighbor, Route } from './plan.ts';

const route = (text: string, more: Partial<Route> = {}): [string, Route] => {
  const prefix = parseNetwork(text);
  assert.ok(prefix.ok);
  const attributes = { communities: [], largeCommunities: [], localPreference: undefined, prepends: 0 };
  return [text, { prefix: prefix.value, ...attributes, addresses: new Map(), ...more }];
};
const neighbor = (address: string, routes: readonly [string, Route][], more: Partial<Neighbor> = {}): Neighbor => ({
  ...{
    address: ip(address),
    asn: 65_001,
    localAsn: undefined,
    port: 179,
    sourceAddress: undefined,
    ttl: 1,
    timers: {},
  },
  ...{ password: undefined, gracefulRestartSeconds: undefined, bfd: undefined, families: [4], of: 'test' },
  routes: new Map(routes),
  ...more,
});
const intent = (...neighbors: readonly Neighbor[]): BgpIntent => ({
  ...{
    instance:
      neighbors.length > 0 ? { asn: 65_000, routerId: undefined, port: undefined, isLastResort: false } : undefined,
    problems: [],
  },
  neighbors,
});
const between = (before: BgpIntent, after: BgpIntent) => commandsBetween(bgpdLines(before), bgpdLines(after));

/** As FRR 8.4 printed it, and none of it ours. */
const PRINTED = `Building configuration...

Current configuration:
!
frr version 8.4.4
frr defaults traditional
hostname node
bgp route-map delay-timer 1
service integrated-vtysh-config
!
router bgp 65000
 no bgp ebgp-requires-policy
 neighbor 10.0.0.9 remote-as 65009
 !
 address-family ipv4 unicast
  network 198.51.100.0/24
  neighbor 10.0.0.9 activate
 exit-address-family
exit
!
route-map theirs permit 10
exit
!
end
`;

describe('the configuration of FRR', () => {
  it('is read as lines below their sections', () => {
    assert.deepEqual(
      linesOf(PRINTED).map(({ context, text }) => [...context, text].join(' / ')),
      [
        'bgp route-map delay-timer 1',
        'router bgp 65000 / no bgp ebgp-requires-policy',
        'router bgp 65000 / neighbor 10.0.0.9 remote-as 65009',
        'router bgp 65000 / address-family ipv4 unicast / network 198.51.100.0/24',
        'router bgp 65000 / address-family ipv4 unicast / neighbor 10.0.0.9 activate',
        'route-map theirs permit 10 / ',
      ],
    );
  });

  it('is somebody else’s where it has neighbors that are not ours', () => {
    assert.match(foreignIn(linesOf(PRINTED), []) ?? '', /10\.0\.0\.9 is not of ours/);
    assert.equal(foreignIn(bgpdLines(intent(neighbor('10.0.0.1', []))), []), undefined);
  });

  it('becomes the last resort by one line, which also says so to whoever takes it down', () => {
    const before = intent(neighbor('10.0.0.1', [route('192.0.2.1/32')]));
    const after = { ...before, instance: before.instance && { ...before.instance, isLastResort: true } };
    assert.deepEqual(between(before, after), [['router bgp 65000', 'bgp graceful-shutdown']]);
    assert.deepEqual(between(after, before), [['router bgp 65000', 'no bgp graceful-shutdown']]);
    assert.deepEqual([...networksIn(bgpdLines(after))], ['192.0.2.1/32']);
    const running = bgpdLines(before);
    assert.deepEqual(commandsBetween(running, lastResortOf(running) ?? []), between(before, after));
    assert.equal(lastResortOf(bgpdLines(intent(neighbor('10.0.0.1', [])))), undefined);
  });

  it('has our own number in the path more than once, and takes that back', () => {
    const [plain, long] = [{}, { prepends: 2 }].map((more) =>
      intent(neighbor('10.0.0.1', [route('192.0.2.1/32', more)], { localAsn: 65_077 })),
    );
    assert.ok(plain && long);
    const line = 'set as-path prepend 65077 65077';
    assert.ok(between(plain, long).some((command) => command.at(-1) === line));
    const lines = bgpdLines(long);
    const without = lines.filter(({ text }) => text !== line);
    assert.deepEqual(
      commandsBetween(lines, without).map((command) => command.at(-1)),
      ['no set as-path prepend'],
    );
  });

  it('changes by one line for one prefix, whatever else there is', () => {
    const many = Array.from({ length: 500 }, (_, i) => route(`198.18.${i >> 8}.${i & 255}/32`));
    const peers = (routes: readonly [string, Route][]) =>
      intent(neighbor('10.0.0.1', routes), neighbor('10.0.0.2', routes));
    const one = route('192.0.2.1/32');
    const added = between(peers(many), peers([...many, one]));
    assert.equal(added.length, 1);
    assert.match(
      added[0]?.join(' / ') ?? '',
      /address-family ipv4 unicast \/ network 192\.0\.2\.1\/32 route-map tombolo-tag-\d+$/,
    );
    const removed = between(peers([...many, one]), peers(many));
    assert.deepEqual(
      removed.map((command) => command.at(-1)),
      ['no network 192.0.2.1/32'],
    );
  });

  it('changes an attribute without a line about a neighbor', () => {
    const before = intent(neighbor('10.0.0.1', [route('192.0.2.1/32')]));
    const after = intent(
      neighbor('10.0.0.1', [route('192.0.2.1/32', { communities: ['65535:65281'], localPreference: 5 })]),
    );
    const commands = between(before, after).map((command) => command.join(' / '));
    assert.ok(commands.some((each) => each.endsWith('set community no-export')));
    assert.ok(!commands.some((each) => / neighbor /.test(each)), commands.join('\n'));
  });

  it('changes a peer without a line about another', () => {
    const others = neighbor('10.0.0.2', [route('192.0.2.1/32')]);
    const before = intent(
      neighbor('10.0.0.1', [route('192.0.2.1/32')], { password: 'old', timers: { holdSeconds: 9 } }),
      others,
    );
    const after = intent(neighbor('10.0.0.1', [route('192.0.2.1/32')]), others);
    assert.deepEqual(
      between(before, after)
        .map((command) => command.join(' / '))
        .sort(),
      ['router bgp 65000 / no neighbor 10.0.0.1 password', 'router bgp 65000 / no neighbor 10.0.0.1 timers'],
    );
    const gone = between(before, intent(others)).map((command) => command.join(' / '));
    assert.ok(gone.includes('router bgp 65000 / no neighbor 10.0.0.1'));
    assert.ok(!gone.some((each) => each.includes('neighbor 10.0.0.2')), gone.join('\n'));
  });

  it('puts the maps before the peers that have them, and takes them away after', () => {
    const some = intent(neighbor('10.0.0.1', [route('192.0.2.1/32')]));
    const there = between(intent(), some).map((command) => command.join(' / '));
    const at = (pattern: RegExp) => there.findIndex((each) => pattern.test(each));
    assert.ok(at(/^route-map tombolo-nothing deny 1$/) < at(/remote-as/));
    assert.ok(at(/remote-as/) < at(/activate/) && at(/activate/) < at(/network \d/));
    assert.ok(at(/route-map tombolo-nothing in/) < at(/network \d/));
    const back = between(some, intent()).map((command) => command.join(' / '));
    assert.equal(back[0], 'no router bgp 65000');
    assert.ok(
      back.slice(1).every((each) => each.startsWith('no route-map tombolo-')),
      back.join('\n'),
    );
  });

  it('lets nothing through to a peer that is told nothing, and nothing in', () => {
    const lines = bgpdLines(intent(neighbor('10.0.0.1', [])));
    assert.ok(lines.some(({ context }) => context[0] === 'route-map tombolo-10.0.0.1 deny 65535'));
    assert.ok(lines.some(({ text }) => text === 'neighbor 10.0.0.1 route-map tombolo-nothing in'));
  });
});
