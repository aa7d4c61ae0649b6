import assert from 'node:assert/strict';
import { sampleEndpoint } from '../model/samples.fixture.ts';
import type { LocalEndpointSlice } from '../model/service.ts';
import { endpointsOf } from './endpoints.ts';
import { KEY } from './world.fixture.ts';

const slice = (key: string, address: string, headless = false): LocalEndpointSlice => ({
  key,
  service: KEY,
  headless,
  endpoints: [sampleEndpoint(address)],
});

describe('endpointsOf()', () => {
  const addresses = (clusterIps: readonly never[] | readonly ['10.96.0.1'], ...slices: readonly LocalEndpointSlice[]) =>
    endpointsOf({ clusterIps: clusterIps as never }, slices).map(({ address }) => address);

  it('has those of all slices, in the order of the slices’ keys, one address as often as it is told', () => {
    const slices = [slice('b', '10.1.0.1'), slice('a', '10.1.0.2'), slice('c', '10.1.0.2')];
    assert.deepEqual(addresses(['10.96.0.1'], ...slices), ['10.1.0.2', '10.1.0.1', '10.1.0.2']);
  });

  it('leaves out slices that are labelled headless, unless the Service is', () => {
    const slices = [slice('a', '10.1.0.1', true), slice('b', '10.1.0.2')];
    assert.deepEqual(addresses(['10.96.0.1'], ...slices), ['10.1.0.2']);
    assert.deepEqual(addresses([], ...slices), ['10.1.0.1', '10.1.0.2']);
    assert.equal(endpointsOf(undefined, slices).length, 2);
  });
});
