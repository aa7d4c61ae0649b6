import assert from 'node:assert/strict';
import { KEY } from '@tombolo/shared/merge/world.fixture.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import type { KernelRoute } from '../datapath/datapath.ts';
import { adoptedClusters } from './adopted.ts';

const service = sampleService(KEY, { ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }] });

const route = (address: string, port: number): KernelRoute => ({
  frontend: { kind: 'ClusterIP', address: ip(address), port, protocol: 'TCP' },
  backends: [
    { address: ip('10.1.0.1'), port: 8080, clusterId: 1 },
    { address: ip('10.2.0.1'), port: 9090, clusterId: 2 },
  ],
});

describe('adoptedClusters()', () => {
  it('finds the Service and port name of what the kernel has of other clusters', () => {
    const adopted = adoptedClusters([route('10.96.0.1', 80), route('0.0.0.0', 30080)], new Map([[KEY, service]]), 1);
    assert.deepEqual(
      adopted.map(({ identity, services }) => [identity.id, services.get(KEY)?.backends]),
      [[2, [{ address: '10.2.0.1', ports: [{ name: 'http', protocol: 'TCP', port: 9090 }], zone: '' }]]],
    );
  });

  it('leaves out frontends of no known Service', () => {
    assert.deepEqual(adoptedClusters([route('10.96.0.9', 80)], new Map([[KEY, service]]), 1), []);
  });
});
