/**
 * Cluster west writes anything into its etcd, at any time. What is local, and what cluster north offers, stays in the
 * kernel all the while; nothing that no cluster may offer gets there; a restart changes nothing; and when west is sound
 * again, so is its part.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { World } from './world.ts';

/** What belongs there, and seldom something else. */
const mostly = <T>(right: T, ...others: readonly T[]) =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(right) }, ...others.map((each) => fc.constant(each)));

const SERVICES = 'cilium/state/services/v1/west/';
const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(`${SERVICES}shop/cart`, `${SERVICES}shop/till`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[SERVICES, `${SERVICES}shop`, `${SERVICES}shop/cart/more`, `${SERVICES}__proto__/cart`],
      ...['cilium/state/services/v1/north/shop/cart', 'cilium/state/nodes/v1/west/west/n1', 'cilium/.heartbeat'],
      ...['cilium/synced/west/cilium/state/services/v1', 'cilium/cluster-config/west', 'cilium/cluster-config/north'],
    ),
  },
);

const address = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('10.3.0.1', '10.3.0.2', '10.1.0.1', '10.2.0.1', '10.96.0.1') },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '127.0.0.1',
      '0.0.0.0',
      '::1',
      'fe80::1',
      'fd00:ec2::254',
      '169.254.169.254',
      '224.0.0.1',
    ),
  },
  fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::ffff:10.1.0.1', '10.3.0.1/32', '010.3.0.1', '')),
);
const port = fc.record({
  Protocol: fc.constantFrom('TCP', 'UDP', 'ANY', 'tcp', '', null, 7),
  Port: fc.constantFrom(8080, 80, 0, -1, 65_536, 1e9, 1.5, '80', null),
});
const portNames = fc.constantFrom('http', '', '__proto__', 'x'.repeat(300));
const ports = fc.oneof(
  { weight: 20, arbitrary: fc.constant({ http: { Protocol: 'TCP', Port: 8080 } }) },
  fc.option(fc.dictionary(portNames, port, { maxKeys: 3 })),
);
const byAddress = fc.option(fc.dictionary(address, ports, { maxKeys: 6 }), { freq: 20 });

const service = fc
  .record(
    {
      cluster: mostly<unknown>('west', 'north', 'east', '', null),
      namespace: mostly('shop', 'default', ''),
      name: mostly('cart', 'till', '__proto__', 'a/b'),
      frontends: byAddress,
      backends: byAddress,
      hostnames: fc.option(fc.dictionary(address, fc.string(), { maxKeys: 2 })),
      zones: mostly<unknown>(null, { '10.3.0.1': 'x' }, { '10.3.0.1': { zone: 7 } }, []),
      labels: fc.constantFrom({}, null, { 'service.tombolo.io/terminating': 'true' }),
      selector: fc.constantFrom({}, null),
      includeExternal: fc.boolean(),
      shared: mostly<unknown>(true, false, 'true'),
      clusterID: mostly<unknown>(3, 2, 1, 0, -1, 256, '3', null),
    },
    { requiredKeys: ['cluster', 'namespace', 'name', 'backends', 'shared', 'clusterID'] },
  )
  .map((entry) => JSON.stringify(entry));
const value = fc.oneof(
  { weight: 6, arbitrary: service },
  { weight: 1, arbitrary: fc.string() },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', 'null', '[]', '{}', '['.repeat(5_000), '{"cluster":"west","cluster":"x"}'),
  },
);

type Turn =
  | { readonly kind: 'write'; readonly key: string; readonly value: string | undefined }
  | { readonly kind: 'commands'; readonly commands: readonly string[] }
  | { readonly kind: 'restart' };

const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('write' as const), key, value: fc.option(value, { nil: undefined }) }),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(
        ['cluster west id=1'],
        ['cluster west id=2'],
        ['cluster west id=3'],
        ['synced west'],
        ['pass 3m'],
        ['silent west', 'kernel', 'back west'],
      )
      .map((commands): Turn => ({ kind: 'commands', commands })),
  },
  { weight: 1, arbitrary: fc.constant<Turn>({ kind: 'restart' }) },
);

const SOUND = ['hear west shop/cart 10.3.0.1 ports=http:8080 at=http:80', 'synced west'];
const BEGIN = [
  ...['cluster north id=2', 'cluster west id=3', 'service shop/cart global ip=10.96.0.1 ports=http:80'],
  ...['slice shop/cart-1 10.1.0.1 of=shop/cart ports=http:8080', 'hear north shop/cart 10.2.0.1 ports=http:8080'],
  ...['synced north', ...SOUND],
];
/** Loopback, link-local, multicast, unspecified, metadata, IPv4 in IPv6. */
const FORBIDDEN = /-> .*[ ,](127\.|169\.254\.|224\.|0\.0\.0\.0:|\[::\]|\[::1\]|\[fe80:|\[fd00:ec2|\[::ffff:)/;

describe('Scenario: a hostile cluster', () => {
  it('takes nothing from others, offers nothing forbidden, and is heard again when it is sound', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 10 }), async (turns) => {
        const world = await World.create();
        const kernel = async (): Promise<string> => {
          await world.run('table');
          await world.run('clusters');
          const lines = (await world.run('kernel')).join('\n');
          assert.match(lines, /^10\.96\.0\.1:80\/TCP -> .*\b10\.1\.0\.1:8080 \(1\).* 10\.2\.0\.1:8080 \(2\)/);
          assert.doesNotMatch(lines, FORBIDDEN);
          return lines;
        };
        try {
          for (const command of BEGIN) await world.run(command);
          for (const each of turns) {
            // Whoever waits to connect again may know less than one who begins.
            if (each.kind === 'restart') await world.run('pass 1m');
            const before = await kernel();
            if (each.kind === 'write') await world.write('west', each.key, each.value);
            else if (each.kind === 'commands') for (const command of each.commands) await world.run(command);
            else await world.run('restart');
            if (each.kind === 'restart') assert.equal(await kernel(), before);
          }
          for (const command of ['cluster west id=3', ...SOUND, 'pass 1m']) await world.run(command);
          assert.match(await kernel(), /10\.3\.0\.1:8080 \(3\)/);
        } finally {
          await world.close();
        }
      }),
      { numRuns: 60 },
    );
  });
});
