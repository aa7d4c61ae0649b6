import assert from 'node:assert/strict';
import { ip } from '../model/ip.ts';
import { sampleEndpoint, sampleService } from '../model/samples.fixture.ts';
import type { LocalEndpoint, LocalEndpointSlice } from '../model/service.ts';
import { endpointsOf } from './endpoints.ts';

const SERVICE = sampleService();

const slice = (name: string, endpoints: readonly LocalEndpoint[], headless = false): LocalEndpointSlice => ({
  key: `shop/${name}`,
  service: SERVICE.key,
  headless,
  endpoints,
});

const addresses = (endpoints: readonly LocalEndpoint[]) => endpoints.map(({ address }) => address);

describe('endpointsOf()', () => {
  const plain = slice('a', [sampleEndpoint('10.1.0.1')]);
  const labelled = slice('b', [sampleEndpoint('10.1.0.2')], true);

  it('leaves out slices that are labelled headless where the Service has a cluster IP', () => {
    assert.deepEqual(addresses(endpointsOf(SERVICE, [labelled, plain])), ['10.1.0.1']);
    const onlyIpv6 = sampleService(SERVICE.key, { clusterIps: [ip('fd00:96::1')] });
    assert.deepEqual(addresses(endpointsOf(onlyIpv6, [labelled])), []);
  });

  it('takes all slices of a headless Service, and of one that is not there', () => {
    for (const service of [sampleService(SERVICE.key, { clusterIps: [] }), undefined]) {
      assert.deepEqual(addresses(endpointsOf(service, [labelled, plain])), ['10.1.0.1', '10.1.0.2']);
    }
  });

  it('does not let a labelled slice speak for an address that stands in another, too', () => {
    const unready = slice('c', [sampleEndpoint('10.1.0.2', { ready: false, serving: false })]);
    assert.deepEqual(
      endpointsOf(SERVICE, [labelled, unready]).map(({ ready }) => ready),
      [false],
    );
  });
});
