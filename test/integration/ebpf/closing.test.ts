/** Connections that our hooks made are found in the namespaces of their sockets and closed; those of others are not. */
import assert from 'node:assert/strict';
import { mkdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/layouts.ts';
import { Connections, whyNot } from '@tombolo/node-agent/datapath/sockets/connections.ts';
import { type Place, placeId } from '@tombolo/node-agent/datapath/sockets/inet-diag.ts';
import { inNamespace } from '@tombolo/node-agent/datapath/sockets/namespaces.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const WEB = '10.96.0.1:80';
const place = (address: string, port: number, protocol: Place['protocol'] = 'TCP'): Place => ({
  address: ip(address),
  port,
  protocol,
});
const GONE = place('10.200.0.1', 8080);

describe('eBPF datapath: connections to backends that are gone', () => {
  let rig: Rig;
  let datapath: Datapath;
  let connections: Connections;
  let namespaces: string;
  const mapPath = () => join(layoutDirectory(rig.pinDir), 'connected');

  before(async () => {
    rig = Rig.create();
    const other = rig.addNamespace();
    await rig.serve('tcp', ['10.200.0.1:8080=1', '10.200.0.2:8080=2', '[fd00:200::1]:8080=3']);
    await rig.serve('udp', ['10.200.0.1:5353=4', '[fd00:200::1]:5353=5']);
    await rig.serve('tcp', ['10.200.0.1:8080=6'], other);
    datapath = await rig.open();
    await datapath.replace(
      only(
        route(WEB, ['10.200.0.1:8080']),
        route('10.96.0.2:80', ['10.200.0.2:8080']),
        route('[fd00:96::1]:80', ['[fd00:200::1]:8080']),
        route('10.96.0.1:53', ['10.200.0.1:5353'], { protocol: 'UDP' }),
        route('[fd00:96::1]:53', ['[fd00:200::1]:5353'], { protocol: 'UDP' }),
      ),
    );
    namespaces = join(rig.directory, 'netns');
    mkdirSync(namespaces);
    for (const i of [0, 1]) symlinkSync(`/run/netns/${rig.name}-${i}`, join(namespaces, `${i}`));
    symlinkSync(`/run/netns/${rig.name}-0`, join(namespaces, 'again'));
    symlinkSync('/etc/hostname', join(namespaces, 'none'));
    symlinkSync('/nowhere', join(namespaces, 'gone'));
    connections = new Connections({ mapPath: mapPath(), namespaces });
  });
  after(async () => {
    await datapath?.destroy();
    await rig?.end();
  });

  /** Closes what leads there; answers how many that were. */
  async function closeAll(...places: readonly Place[]): Promise<number> {
    const { found } = await connections.survey(places);
    return connections.close([...found.values()].flat());
  }

  it('this kernel can do it', () => {
    assert.deepEqual([whyNot('TCP'), whyNot('UDP')], [undefined, undefined]);
  });

  for (const { name, kind, service, at } of [
    { name: 'TCP over IPv4', kind: 'tcp4', service: WEB, at: GONE },
    { name: 'TCP over IPv6', kind: 'tcp6', service: '[fd00:96::1]:80', at: place('fd00:200::1', 8080) },
    { name: 'TCP over mapped IPv4', kind: 'tcp6', service: WEB, at: GONE },
    { name: 'UDP over IPv4', kind: 'udp4', service: '10.96.0.1:53', at: place('10.200.0.1', 5353, 'UDP') },
    { name: 'UDP over IPv6', kind: 'udp6', service: '[fd00:96::1]:53', at: place('fd00:200::1', 5353, 'UDP') },
  ]) {
    it(`closes ${name}: who waits for an answer hears of it at once`, async () => {
      const lines = await rig.scriptAround(kind, [`connect=${service}`, 'wait', 'recv'], async () => {
        assert.equal(await closeAll(place('10.200.0.9', 1), at, place('fd00:200::9', 1), place('10.200.0.9', 2)), 1);
        assert.equal(await closeAll(at), 0);
      });
      assert.deepEqual(lines, ['connect ok', 'wait', 'recv ECONNABORTED']);
    });
  }

  it('touches nothing else: other backends, others who went to the very address, who did so later, other namespaces', async () => {
    const steps = ['wait', 'send', 'recv'];
    const around = (to: readonly string[], body: () => Promise<unknown>) =>
      rig.scriptAround('tcp4', [...to.map((each) => `connect=${each}`), ...steps], body);
    const kept: (readonly string[])[] = [];
    kept.push(
      await around(['10.96.0.2:80'], async () => {
        kept.push(
          await around(['10.200.0.1:8080'], async () => {
            kept.push(
              await rig.scriptAround(
                'tcp4',
                [`connect=${WEB}`, 'disconnect', 'connect=10.200.0.1:8080', ...steps],
                async () => assert.equal(await closeAll(GONE), 0),
              ),
            );
          }),
        );
      }),
    );
    assert.deepEqual(
      kept.map((lines) => lines.slice(-3)),
      [
        ['wait', 'send ok', 'recv 1'],
        ['wait', 'send ok', 'recv 1'],
        ['wait', 'send ok', 'recv 2'],
      ],
    );
    assert.equal(connections.trouble, '');
  });

  it('takes hundreds of places in one question, each of which is asked', async () => {
    const many = Array.from({ length: 1_200 }, (_, i) => place(`10.201.${i >> 8}.${i & 255}`, 8080));
    for (const at of [0, 499, 500, 1_200]) {
      const lines = await rig.scriptAround('tcp4', [`connect=${WEB}`, 'wait', 'recv'], async () => {
        assert.equal(await closeAll(...many.toSpliced(at, 0, GONE)), 1, `${at}`);
      });
      assert.equal(lines.at(-1), 'recv ECONNABORTED');
    }
  });

  it('stops at its limits, and says so', async () => {
    await rig.scriptAround('tcp4', [`connect=${WEB}`, 'wait'], async () => {
      await rig.scriptAround('tcp4', [`connect=${WEB}`, 'wait'], async () => {
        const few = new Connections({ mapPath: mapPath(), namespaces, mostConnections: 1, mostNamespaces: 1 });
        const { found, isPartial } = await few.survey([GONE]);
        assert.deepEqual([found.get(placeId(GONE))?.length, isPartial], [1, true]);
        assert.match(few.trouble, /more than 1 network namespaces/);
      });
    });
  });

  it('leaves this thread in its own namespace', async () => {
    await connections.survey([GONE]);
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), readlinkSync(`/proc/${process.ppid}/ns/net`));
    assert.throws(() => inNamespace(join(namespaces, 'none'), () => {}), /Cannot enter .*EINVAL/);
    assert.throws(
      () =>
        inNamespace(join(namespaces, '0'), () => {
          throw new Error('as it happens');
        }),
      /as it happens/,
    );
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), readlinkSync(`/proc/${process.ppid}/ns/net`));
  });
});
