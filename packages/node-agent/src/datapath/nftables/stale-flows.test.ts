import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { type ConntrackEntry, deleteRequest, listRequest, parseEntry } from './conntrack-messages.ts';
import { type Served, servedId } from './slots.ts';
import { changedFlows, FlowJudge } from './stale-flows.ts';

/** As an entry of the kernel's: a client asked `asked` and `answering` answers. */
function flow(asked: string, answering: string, protocol = 17): ConntrackEntry {
  const split = (text: string) => ({ address: ip(text.split(' ')[0] ?? ''), port: Number(text.split(' ')[1]) });
  const [to, from] = [split(asked), split(answering)];
  const client = { address: ip('10.1.0.2'), port: 4000 };
  return {
    family: 4,
    name: Buffer.alloc(0),
    original: {
      protocol,
      source: client.address,
      sourcePort: client.port,
      destination: to.address,
      destinationPort: to.port,
    },
    reply: {
      protocol,
      source: from.address,
      sourcePort: from.port,
      destination: client.address,
      destinationPort: client.port,
    },
  };
}

const dns: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.10'), port: 53, protocol: 'UDP' };
const served = (frontend: Frontend, ...backends: readonly string[]): Served => ({
  frontend,
  clients: 'all',
  ranges: [],
  affinitySeconds: 0,
  backends: backends.map((address) => ({ address: ip(address), port: 53, clusterId: 1 })),
});
const table = (...list: readonly Served[]) => new Map(list.map((one) => [frontendId(one.frontend), one]));

const nodePort: Frontend = { ...dns, kind: 'NodePort', address: ip('0.0.0.0'), port: 30053 };

describe('FlowJudge', () => {
  const stale = (judge: FlowJudge, asked: string, answering: string, protocol?: number): boolean =>
    judge.isStale(flow(asked, answering, protocol));

  it('picks flows to what is no backend of the frontend, and no others', () => {
    const judge = new FlowJudge(table(served(dns, '10.0.0.2')));
    assert.equal(stale(judge, '10.96.0.10 53', '10.0.0.1 53'), true);
    assert.equal(stale(judge, '10.96.0.10 53', '10.0.0.2 54'), true);
    assert.equal(stale(judge, '10.96.0.10 53', '10.0.0.2 53'), false);
    assert.equal(stale(judge, '10.96.0.11 53', '10.0.0.1 53'), false);
    assert.equal(stale(judge, '10.96.0.10 54', '10.0.0.1 53'), false);
    // Translated in its port alone, and masqueraded.
    const port = flow('10.96.0.10 53', '10.96.0.10 54');
    assert.equal(judge.isStale({ ...port, reply: { ...port.reply, destination: ip('192.0.2.9') } }), true);
    assert.equal(stale(judge, '10.96.0.10 53', '10.0.0.1 53', 6), false);
  });

  it('picks what began before the frontend had backends, unless its source was translated', () => {
    for (const [frontend, asked] of [
      [dns, '10.96.0.10 53'],
      [nodePort, '192.0.2.1 30053'],
    ] as const) {
      const judge = new FlowJudge(table(served(frontend, '10.0.0.1')));
      const untranslated = flow(asked, asked);
      assert.equal(judge.isStale(untranslated), true);
      const reply = { ...untranslated.reply, destination: ip('192.0.2.9') };
      assert.equal(judge.isStale({ ...untranslated, reply }), false);
      assert.equal(judge.isStale({ ...untranslated, reply: { ...untranslated.reply, destinationPort: 1 } }), false);
      assert.equal(new FlowJudge(table(served(frontend))).isStale(untranslated), false);
    }
  });

  it('knows a NodePort at every address of its family, but where another frontend has that address and port', () => {
    const other: Frontend = { ...dns, kind: 'LoadBalancer', address: ip('192.0.2.7'), port: 30053 };
    const judge = new FlowJudge(table(served(nodePort, '10.0.0.1'), served(other, '10.0.0.2')));
    assert.equal(stale(judge, '192.0.2.1 30053', '10.0.0.2 53'), true);
    assert.equal(stale(judge, '192.0.2.1 30053', '10.0.0.1 53'), false);
    assert.equal(stale(judge, '192.0.2.7 30053', '10.0.0.2 53'), false);
    assert.equal(stale(judge, '192.0.2.1 30054', '10.0.0.2 53'), false);
    assert.equal(judge.isStale({ ...flow('192.0.2.1 30053', '10.0.0.2 53'), family: 6 }), false);
  });

  it('counts the backends of clients outside, too', () => {
    const outside = { ...served(nodePort, '10.0.0.3'), clients: 'outside' } as const;
    const all = table(served(nodePort, '10.0.0.1'));
    const judge = new FlowJudge(new Map([...all, [servedId(outside), outside]]));
    assert.equal(stale(judge, '192.0.2.1 30053', '10.0.0.3 53'), false);
  });

  it('picks those of a frontend that is gone which led to its backends', () => {
    const judge = new FlowJudge(new Map(), table(served(nodePort, '10.0.0.1')));
    assert.equal(stale(judge, '192.0.2.1 30053', '10.0.0.1 53'), true);
    assert.equal(stale(judge, '192.0.2.1 30053', '10.0.0.2 53'), false);
    assert.equal(stale(judge, '192.0.2.1 30053', '192.0.2.1 30053'), false);
  });
});

describe('changedFlows()', () => {
  const places = (before: readonly Served[], changes: ReadonlyMap<string, Served | undefined>) =>
    changedFlows(table(...before), changes).places;
  const gone = new Map([[frontendId(nodePort), undefined]]);

  it('names where a backend was lost, or the first came', () => {
    const here = [{ family: 4, address: '10.96.0.10', port: 53 }];
    assert.deepEqual(places([served(dns, '10.0.0.1', '10.0.0.2')], table(served(dns, '10.0.0.2'))), here);
    assert.deepEqual(places([], table(served(dns, '10.0.0.2'))), here);
    assert.deepEqual(places([served(dns)], table(served(dns, '10.0.0.2'))), here);
    assert.deepEqual(places([served(nodePort, '10.0.0.1')], gone), [{ family: 4, address: undefined, port: 30053 }]);
    const six = { ...nodePort, address: ip('::') };
    assert.deepEqual(places([], table(served(six, 'fd00::1'))), [{ family: 6, address: undefined, port: 30053 }]);
  });

  it('remembers what was served at a frontend that is gone', () => {
    const last = served(nodePort, '10.0.0.1');
    assert.deepEqual(changedFlows(table(last), gone).gone, new Map([[frontendId(nodePort), last]]));
    assert.equal(changedFlows(table(served(dns, '10.0.0.1')), table(served(dns))).gone.size, 0);
  });

  it('names nothing when only TCP changes, or UDP only grows', () => {
    const web: Frontend = { ...dns, protocol: 'TCP' };
    assert.deepEqual(places([served(web, '10.0.0.1')], table(served(web))), []);
    assert.deepEqual(places([served(dns, '10.0.0.1')], table(served(dns, '10.0.0.1', '10.0.0.2'))), []);
    assert.deepEqual(places([], table(served(dns))), []);
  });
});

describe('conntrack messages', () => {
  // nfgenmsg, then CTA_TUPLE_ORIG and CTA_TUPLE_REPLY of a UDP flow, as the kernel sends them.
  const body = Buffer.from(
    '02000000' +
      '34000180' +
      '14000180' +
      '080001000a010002' +
      '080002000a60000a' +
      '1c000280' +
      '0500010011000000' +
      '060002009c400000' +
      '0600030000350000' +
      '34000280' +
      '14000180' +
      '080001000a000001' +
      '080002000a010002' +
      '1c000280' +
      '0500010011000000' +
      '0600020000350000' +
      '060003009c400000',
    'hex',
  );
  const entry = { type: 0x100, sequence: 1, body };

  it('reads addresses and ports of both directions', () => {
    const parsed = parseEntry(entry);
    assert.deepEqual(parsed?.original, {
      protocol: 17,
      source: '10.1.0.2',
      destination: '10.96.0.10',
      sourcePort: 40_000,
      destinationPort: 53,
    });
    assert.deepEqual(parsed?.reply, {
      protocol: 17,
      source: '10.0.0.1',
      destination: '10.1.0.2',
      sourcePort: 53,
      destinationPort: 40_000,
    });
  });

  it('sends the original tuple back to delete it', () => {
    const parsed = parseEntry(entry);
    assert.ok(parsed);
    const request = deleteRequest(parsed);
    assert.equal(request.readUInt32LE(0), request.length);
    assert.deepEqual(request.subarray(20), body.subarray(4, 56));
  });

  it('reads nothing from what is cut short', () => {
    for (let length = 0; length < body.length; length += 1) parseEntry({ ...entry, body: body.subarray(0, length) });
    assert.equal(parseEntry({ ...entry, body: body.subarray(0, 60) }), undefined);
  });

  it('asks for the flows of a protocol, and of a destination', () => {
    const hex = (...request: Parameters<typeof listRequest>): string => listRequest(...request).toString('hex', 20);
    // CTA_TUPLE_ORIG with CTA_TUPLE_PROTO, then CTA_FILTER with the bit of the protocol's number.
    assert.equal(hex(6, { protocol: 17 }), '100001800c000280050001001100000' + '00c0019800800010008000000');
    assert.equal(
      hex(4, { protocol: 17, destination: ip('10.96.0.10'), destinationPort: 53 }),
      '240001800c000180080002000a60000a140002800500010011000000060003000035' + '00000c001980080001002a000000',
    );
  });
});
