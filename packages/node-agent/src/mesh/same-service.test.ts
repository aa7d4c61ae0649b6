import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type BackendPort, type RemoteService, serviceKey } from '@tombolo/shared/model/service.ts';
import { sameService } from './same-service.ts';

const http: BackendPort = { name: 'http', protocol: 'TCP', port: 80 };

const service = (fields: Partial<RemoteService> = {}): RemoteService => ({
  key: serviceKey('a', 'x'),
  shared: true,
  terminating: false,
  frontendPorts: [http],
  backends: [{ address: ip('10.2.0.1'), ports: [http], zone: 'a' }],
  origin: { source: 'etcd', revision: '1', at: 1 },
  ...fields,
});

const backend = (fields: Partial<RemoteService['backends'][number]>): RemoteService =>
  service({ backends: [{ address: ip('10.2.0.1'), ports: [{ ...http }], zone: 'a', ...fields }] });

describe('sameService()', () => {
  it('holds for what was written again', () => {
    assert.ok(sameService(service(), { ...backend({}), origin: { source: 'etcd', revision: '2', at: 2 } }));
  });

  for (const [what, other] of Object.entries({
    shared: service({ shared: false }),
    terminating: service({ terminating: true }),
    'no frontend port': service({ frontendPorts: [] }),
    'another frontend port': service({ frontendPorts: [{ ...http, port: 81 }] }),
    'no backend': service({ backends: [] }),
    'another address': backend({ address: ip('10.2.0.2') }),
    'another zone': backend({ zone: 'b' }),
    'another port name': backend({ ports: [{ ...http, name: 'web' }] }),
    'another protocol': backend({ ports: [{ ...http, protocol: 'UDP' }] }),
    'another port': backend({ ports: [{ ...http, port: 8080 }] }),
    'one port more': backend({ ports: [http, { ...http, port: 8080 }] }),
  })) {
    it(`does not hold for ${what}`, () => {
      assert.equal(sameService(service(), other), false);
      assert.equal(sameService(other, service()), false);
    });
  }
});
