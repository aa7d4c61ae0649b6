import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { type ConntrackEntry, deleteRequest, listRequest, parseEntry } from './conntrack-messages.ts';
import type { Served } from './slots.ts';
import { staleFlows } from './stale-flows.ts';

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
  affinitySeconds: 0,
  backends: backends.map((address) => ({ address: ip(address), port: 53, clusterId: 1 })),
});
const table = (...list: readonly Served[]) => new Map(list.map((one) => [frontendId(one.frontend), one]));

describe('staleFlows()', () => {
  it('picks flows to backends that are gone, and no others', () => {
    const { families, isStale } = staleFlows(
      table(served(dns, '10.0.0.1', '10.0.0.2')),
      table(served(dns, '10.0.0.2')),
    );
    assert.deepEqual([...families], [4]);
    assert.equal(isStale(flow('10.96.0.10 53', '10.0.0.1 53')), true);
    assert.equal(isStale(flow('10.96.0.10 53', '10.0.0.2 53')), false);
    assert.equal(isStale(flow('10.96.0.11 53', '10.0.0.1 53')), false);
    assert.equal(isStale(flow('10.96.0.10 53', '10.0.0.1 53', 6)), false);
  });

  it('picks what began before the frontend was served', () => {
    const { isStale } = staleFlows(new Map(), table(served(dns, '10.0.0.1')));
    assert.equal(isStale(flow('10.96.0.10 53', '10.96.0.10 53')), true);
    // Another balancer's flow to a backend: not ours to end.
    assert.equal(isStale(flow('10.96.0.10 53', '10.0.0.9 53')), false);
  });

  it('knows a NodePort at every address', () => {
    const port: Frontend = { ...dns, kind: 'NodePort', address: ip('0.0.0.0'), port: 30053 };
    const { isStale } = staleFlows(table(served(port, '10.0.0.1')), new Map([[frontendId(port), undefined]]));
    assert.equal(isStale(flow('192.0.2.1 30053', '10.0.0.1 53')), true);
    assert.equal(isStale(flow('192.0.2.1 30054', '10.0.0.1 53')), false);
  });

  it('asks for nothing when only TCP changes, or UDP only grows', () => {
    const web: Frontend = { ...dns, protocol: 'TCP' };
    assert.equal(staleFlows(table(served(web, '10.0.0.1')), table(served(web))).families.size, 0);
    const grown = staleFlows(table(served(dns, '10.0.0.1')), table(served(dns, '10.0.0.1', '10.0.0.2')));
    assert.equal(grown.families.size, 0);
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

  it('reads nothing from what is cut short, and asks for a family', () => {
    for (let length = 0; length < body.length; length += 1) parseEntry({ ...entry, body: body.subarray(0, length) });
    assert.equal(parseEntry({ ...entry, body: body.subarray(0, 60) }), undefined);
    assert.equal(listRequest(6).toString('hex'), '140000000101010300000000000000000a000000');
  });
});
