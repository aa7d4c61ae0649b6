import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ip, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import fc from 'fast-check';
import {
  getAddress,
  getBackend,
  getService,
  getServiceKey,
  getSetKey,
  INLINE_BACKENDS,
  putAddress,
  putBackend,
  putService,
  putServiceKey,
  putWords,
  TABLES,
} from './layout.ts';
import type { MapFrontend } from './map-entry.ts';
import { MAP_CLIENTS } from './map-entry.ts';
import type { ServiceValue } from './operation.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const port = fc.integer({ min: 1, max: 65535 });
const address = fc.oneof(
  fc.ipV4().map(ip),
  fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map(ipFromBytes)
    .filter((text) => !text.startsWith('::ffff:')),
);
const plain = { noNullPrototype: true };
const frontend: fc.Arbitrary<MapFrontend> = fc.record(
  {
    kind: fc.constantFrom('ClusterIP' as const, 'NodePort' as const),
    clients: fc.constantFrom(...MAP_CLIENTS),
    address,
    port,
    protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
  },
  { ...plain, requiredKeys: ['kind', 'address', 'port', 'protocol'] },
);
const backend = fc.record({ address, port, clusterId: fc.nat(511) }, plain);

const service: fc.Arbitrary<ServiceValue> = fc
  .tuple(
    u32,
    u32,
    u32,
    fc.array(u32, { maxLength: INLINE_BACKENDS }),
    fc.integer({ min: 8, max: 20_000 }),
    fc.boolean(),
  )
  .map(([id, generation, affinitySeconds, few, many, isLarge]) =>
    isLarge
      ? { id, generation, count: many, affinitySeconds, inline: [] }
      : { id, generation, count: few.length, affinitySeconds, inline: few },
  );

/** A buffer of old bytes, so that whatever is not written shows. */
const used = (size: number): Buffer => Buffer.alloc(size, 0xa5);

describe('layout', () => {
  it('has services as bpf/layout.h has them', () => {
    const key = used(20);
    putServiceKey(key, 0, { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 443, protocol: 'UDP' });
    assert.equal(key.toString('hex'), '00000000000000000000ffff0a60000101bb1100');
    putServiceKey(key, 0, { kind: 'ExternalIP', address: ip('fd00::12'), port: 80, protocol: 'TCP' });
    assert.equal(key.toString('hex'), 'fd00000000000000000000000000001200500600');
    const nodePort = { kind: 'NodePort', address: ip('0.0.0.0'), port: 30_080, protocol: 'TCP' } as const;
    putServiceKey(key, 0, nodePort);
    assert.equal(key.toString('hex'), '00000000000000000000ffff0000000075800601');
    putServiceKey(key, 0, { ...nodePort, clients: 'outside' });
    assert.equal(key.toString('hex'), '00000000000000000000ffff0000000075800603');
    const balanced = { kind: 'LoadBalancer', address: ip('10.97.0.1'), port: 80, protocol: 'TCP' } as const;
    putServiceKey(key, 0, { ...balanced, clients: 'admitted outside' });
    assert.equal(key.toString('hex'), '00000000000000000000ffff0a61000100500606');
  });

  it('keeps as many backends in the service itself as bpf/layout.h', () => {
    const header = readFileSync(new URL('../../../bpf/layout.h', import.meta.url), 'utf8');
    assert.equal(Number(/^#define INLINE_BACKENDS (\d+)$/m.exec(header)?.[1]), INLINE_BACKENDS);
    const fields = 5; // The lock among them.
    assert.equal(TABLES.services.valueSize, 4 * (fields + INLINE_BACKENDS));
  });

  it('has backends and sets as bpf/layout.h has them', () => {
    const backend = used(20);
    putBackend(backend, 0, { address: ip('10.1.2.3'), port: 8080, clusterId: 511 });
    assert.equal(backend.toString('hex'), '00000000000000000000ffff0a0102031f90ff01');
    const service = used(48);
    putService(service, 0, { id: 9, generation: 7, count: 2, affinitySeconds: 10800, inline: [5, 6] });
    const words = ['00000000', '09000000', '07000000', '02000000', '302a0000', '05000000', '06000000', '00'.repeat(20)];
    assert.equal(service.toString('hex'), words.join(''));
  });

  it('reads back every address, at any offset', () => {
    fc.assert(
      fc.property(address, fc.nat(16), (value, at) => {
        const buffer = used(32);
        putAddress(buffer, at, value);
        assert.equal(getAddress(buffer, at), value);
        assert.deepEqual(buffer.subarray(at + 16), used(32 - at - 16));
      }),
    );
  });

  it('reads back every frontend, backend, service, slot and member', () => {
    fc.assert(
      fc.property(frontend, backend, service, u32, u32, u32, (front, back, entry, a, b, c) => {
        const buffer = used(56);
        putServiceKey(buffer, 4, front);
        assert.deepEqual(getServiceKey(buffer, 4), front);
        putBackend(buffer, 4, back);
        assert.deepEqual(getBackend(buffer, 4), back);
        putService(buffer, 4, entry);
        assert.deepEqual(getService(buffer, 4), entry);
        putWords(buffer, 4, a, b, c);
        assert.deepEqual(getSetKey(buffer, 4), { service: a, generation: b });
        assert.equal(buffer.readUInt32LE(12), c);
      }),
    );
  });
});
