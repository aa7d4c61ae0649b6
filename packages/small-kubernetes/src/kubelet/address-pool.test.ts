import assert from 'node:assert/strict';
import { AddressPool } from './address-pool.ts';

describe('AddressPool', () => {
  const pool = () => new AddressPool('10.1.2.0/24', 'fd00:1:2::/64');

  it('takes addresses of both families, never the gateway', () => {
    assert.deepEqual(pool().take(), { ipv4: '10.1.2.2', ipv6: 'fd00:1:2::2' });
  });

  it('gives an address out again only after all others', () => {
    const addresses = pool();
    addresses.release(addresses.take());
    const later = Array.from({ length: 253 }, () => addresses.take().ipv4);
    assert.equal(new Set(later).size, 253);
    assert.equal(later[0], '10.1.2.3');
    assert.equal(later.at(-1), '10.1.2.2');
  });

  it('says so when there are none left', () => {
    const addresses = pool();
    for (let i = 0; i < 253; i++) addresses.take();
    assert.throws(() => addresses.take(), /all 253 of 10\.1\.2\.0\/24 are taken/);
  });
});
