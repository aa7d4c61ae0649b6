import assert from 'node:assert/strict';
import { namesOf, parseElements, parsePrefixes } from './listing.ts';

/** Answers as nft 1.0.6 gives them. */
const answer = (object: unknown): unknown => ({
  nftables: [{ metainfo: { version: '1.0.6', json_schema_version: 1 } }, object],
});

describe('parseElements()', () => {
  it('reads a map of choices, with protocols as numbers', () => {
    const elem = [
      [{ elem: { val: { concat: ['10.96.0.1', 6, 80] }, comment: 'LoadBalancer' } }, '0000:0003'],
      [{ elem: { val: { concat: ['0.0.0.0', 'sctp', 80] }, comment: 'NodePort' } }, '1e:2'],
    ];
    assert.deepEqual(parseElements('services', answer({ map: { name: 'services', elem } })), [
      { set: 'services', key: '10.96.0.1 . tcp . 80', value: '0:3', comment: 'LoadBalancer' },
      { set: 'services', key: '0.0.0.0 . sctp . 80', value: '1e:2', comment: 'NodePort' },
    ]);
  });

  it('reads verdicts', () => {
    const elem = [[{ concat: [6, '0:3'] }, { goto: { target: 'tcp-3' } }]];
    assert.deepEqual(parseElements('choices', answer({ map: { elem } })), [
      { set: 'choices', key: 'tcp . 0:3', value: 'goto tcp-3', comment: '' },
    ]);
  });

  it('reads slots and their clusters, with canonical addresses', () => {
    const elem = [[{ elem: { val: { concat: ['fd96::1', 80, 17] }, comment: '7' } }, { concat: ['fd00:0::1', 8080] }]];
    assert.deepEqual(parseElements('slots-tcp', answer({ map: { elem } })), [
      { set: 'slots-tcp', key: 'fd96::1 . 80 . 17', value: 'fd00::1 . 8080', comment: '7' },
    ]);
  });

  it('reads sets, and what clients are remembered by', () => {
    const elem = [{ concat: ['10.96.0.2', 17, 53, 'da84:0ed9'] }];
    assert.deepEqual(parseElements('sticky-members', answer({ set: { elem } })), [
      { set: 'sticky-members', key: '10.96.0.2 . udp . 53 . da84:ed9', value: '', comment: '' },
    ]);
    assert.deepEqual(parseElements('backends', answer({ set: { elem: [{ concat: ['10.0.0.6', '10.0.0.6'] }] } })), [
      { set: 'backends', key: '10.0.0.6 . 10.0.0.6', value: '', comment: '' },
    ]);
  });

  it('finds nothing in an empty set, nor in junk', () => {
    for (const junk of [answer({ set: { name: 'refused' } }), answer(7), {}, null, 'x', { nftables: [null] }]) {
      assert.deepEqual(parseElements('refused', junk), []);
    }
  });
});

describe('namesOf() and parsePrefixes()', () => {
  it('take only the objects of our table', () => {
    const listing = {
      nftables: [
        { set: { table: 'tombolo', name: 'ours' } },
        { set: { table: 'kube-proxy', name: 'theirs' } },
        { map: { table: 'tombolo', name: 'map' } },
      ],
    };
    assert.deepEqual(namesOf('set', 'tombolo', listing), ['ours']);
  });

  it('read prefixes and single addresses', () => {
    const elem = [{ prefix: { addr: '10.1.0.0', len: 24 } }, '10.2.0.1', 'fd00::1'];
    assert.deepEqual(parsePrefixes(answer({ set: { elem } })), ['10.1.0.0/24', '10.2.0.1/32', 'fd00::1/128']);
  });
});
