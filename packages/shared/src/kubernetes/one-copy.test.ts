import assert from 'node:assert/strict';
import { convertEndpointSlice } from './endpoint-slice-object.ts';
import { oneCopy } from './one-copy.ts';

describe('oneCopy()', () => {
  it('gives the same text, whatever came between', () => {
    for (let i = 0; i < 25_000; i++) assert.equal(oneCopy(`node-${i}`), `node-${i}`);
    assert.equal(oneCopy('node-1'), 'node-1');
  });

  it('lets equal endpoints share what they can', () => {
    const endpoint = (address: string) => ({ addresses: [address], nodeName: 'n', hints: {} });
    const converted = convertEndpointSlice(
      {
        metadata: { name: 's', namespace: 'a', labels: { 'kubernetes.io/service-name': 's' } },
        addressType: 'IPv4',
        endpoints: [endpoint('10.0.0.1'), endpoint('10.0.0.2')],
        ports: [{ port: 80 }],
      },
      0,
    );
    assert.equal(converted.kind, 'value');
    if (converted.kind !== 'value') return;
    const [one, other] = converted.value.endpoints;
    assert.equal(one?.ports, other?.ports);
    assert.equal(one?.zoneHints, other?.zoneHints);
    assert.equal(one?.origin, other?.origin);
  });
});
