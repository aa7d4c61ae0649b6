import assert from 'node:assert/strict';
import type { LocalEndpointSlice } from '../model/service.ts';
import { convertEndpointSlice } from './endpoint-slice-object.ts';

const SERVICE = { 'kubernetes.io/service-name': 'cart' };

const slice = (parts: Readonly<Record<string, unknown>>, labels: unknown = SERVICE) => ({
  metadata: { namespace: 'shop', name: 'cart-x1', resourceVersion: '42', labels },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.1.0.1'] }],
  ports: [{ port: 8080 }],
  ...parts,
});

function converted(object: Readonly<Record<string, unknown>>): {
  readonly value: LocalEndpointSlice;
  readonly warnings: readonly string[];
} {
  const conversion = convertEndpointSlice(object, 7);
  assert.equal(conversion.kind, 'value');
  return conversion;
}

describe('convertEndpointSlice()', () => {
  it('takes everything over', () => {
    const { value, warnings } = converted(
      slice({
        ports: [
          { name: 'http', protocol: 'TCP', port: 8080 },
          { name: 'dns', protocol: 'UDP', port: 53 },
        ],
        endpoints: [
          {
            addresses: ['10.1.0.1'],
            conditions: { ready: false, serving: true, terminating: true },
            hostname: 'cart-0',
            nodeName: 'n1',
            zone: 'z1',
            hints: { forZones: [{ name: 'z1' }, { name: 'z2' }] },
          },
        ],
      }),
    );
    assert.deepEqual(warnings, []);
    assert.deepEqual(value, {
      key: 'shop/cart-x1',
      service: 'shop/cart',
      headless: false,
      endpoints: [
        {
          address: '10.1.0.1',
          ports: [
            { name: 'http', protocol: 'TCP', port: 8080 },
            { name: 'dns', protocol: 'UDP', port: 53 },
          ],
          ready: false,
          serving: true,
          terminating: true,
          node: 'n1',
          zone: 'z1',
          zoneHints: ['z1', 'z2'],
          nodeHints: [],
          hostname: 'cart-0',
          origin: { source: 'kubernetes', revision: '42', at: 7 },
        },
      ],
    });
  });

  for (const [conditions, expected] of [
    [undefined, [true, true, false]],
    [{}, [true, true, false]],
    [{ ready: null, serving: null, terminating: null }, [true, true, false]],
    [{ ready: false }, [false, false, false]],
    [{ ready: false, serving: true, terminating: true }, [false, true, true]],
    [{ ready: false, serving: false }, [false, false, false]],
    [{ ready: true, serving: true, terminating: true }, [true, true, true]],
  ] as const) {
    it(`reads conditions ${JSON.stringify(conditions)} as ready, serving, terminating ${expected}`, () => {
      const [endpoint] = converted(slice({ endpoints: [{ addresses: ['10.1.0.1'], conditions }] })).value.endpoints;
      assert.deepEqual([endpoint?.ready, endpoint?.serving, endpoint?.terminating], expected);
    });
  }

  it('fills in the defaults of ports, and skips those without a number', () => {
    const { value, warnings } = converted(slice({ ports: [{ port: 80 }, { name: 'all' }, { name: 'n', port: null }] }));
    assert.deepEqual(value.endpoints[0]?.ports, [{ name: '', protocol: 'TCP', port: 80 }]);
    assert.deepEqual(warnings, []);
  });

  it('takes the zone from the old topology where it must', () => {
    const deprecatedTopology = { 'topology.kubernetes.io/zone': 'old' };
    const endpoints = [
      { addresses: ['10.1.0.1'], deprecatedTopology },
      { addresses: ['10.1.0.2'], deprecatedTopology, zone: 'new' },
    ];
    assert.deepEqual(
      converted(slice({ endpoints })).value.endpoints.map((each) => each.zone),
      ['old', 'new'],
    );
  });

  it('makes one endpoint of each address, in canonical form', () => {
    const { value } = converted(slice({ addressType: 'IPv6', endpoints: [{ addresses: ['FD00::0:1', 'fd00::2'] }] }));
    assert.deepEqual(
      value.endpoints.map((each) => each.address),
      ['fd00::1', 'fd00::2'],
    );
  });

  for (const value of ['', 'false', 'x']) {
    it(`is headless by the label alone, with the value "${value}" too`, () => {
      const labels = { ...SERVICE, 'service.kubernetes.io/headless': value };
      assert.equal(converted(slice({}, labels)).value.headless, true);
    });
  }

  it('may be empty', () => {
    assert.deepEqual(converted(slice({ endpoints: null, ports: null })).value.endpoints, []);
  });

  it('leaves out parts that cannot be used, and says which', () => {
    const { value, warnings } = converted(
      slice({
        endpoints: [{ addresses: ['10.1.0.999', '10.1.0.1'] }, { addresses: [5] }],
        ports: [{ port: 80 }, { port: -1 }, { port: 81, protocol: 'icmp' }],
      }),
    );
    assert.deepEqual(
      value.endpoints.map(({ address, ports }) => [address, ports.map((port) => port.port)]),
      [['10.1.0.1', [80]]],
    );
    assert.deepEqual(warnings, [
      'ports[1] left out: port must be 1-65535: current value is -1',
      'ports[2] left out: protocol must be TCP, UDP or SCTP: current value is "icmp"',
      'endpoints[0].addresses left out: expected an IP address: current value is "10.1.0.999"',
      'endpoints[1].addresses left out: expected an IP address: current value is 5',
    ]);
  });

  for (const [what, object] of [
    ['names instead of addresses', slice({ addressType: 'FQDN' })],
    ['no service', slice({}, {})],
    ['another proxy', slice({}, { ...SERVICE, 'service.kubernetes.io/service-proxy-name': 'x' })],
    [
      'a mesh controller',
      slice({}, { ...SERVICE, 'endpointslice.kubernetes.io/managed-by': 'endpointslice-mesh-controller.cilium.io' }),
    ],
  ] as const) {
    it(`ignores a slice of ${what}`, () => assert.deepEqual(convertEndpointSlice(object, 7), { kind: 'ignored' }));
  }

  for (const [parts, reason] of [
    [{ endpoints: {} }, 'endpoints must be an array: current value is {}'],
    [{ endpoints: [null] }, 'endpoints[0] must be an object: current value is null'],
    [{ endpoints: [{ addresses: 'x' }] }, 'endpoints[0].addresses must be an array: current value is "x"'],
    [
      { endpoints: [{ addresses: [], conditions: { ready: 'yes' } }] },
      'endpoints[0].conditions.ready must be true or false: current value is "yes"',
    ],
    [{ ports: [{ port: 80, name: 5 }] }, 'ports[0].name must be a string: current value is 5'],
  ] as const) {
    it(`refuses: ${reason}`, () => {
      assert.deepEqual(convertEndpointSlice(slice(parts), 7), { kind: 'refused', reason });
    });
  }
});
