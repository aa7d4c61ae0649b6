import assert from 'node:assert/strict';
import { KEY } from '../merge/world.fixture.ts';
import { sampleEndpoint, sampleService } from '../model/samples.fixture.ts';
import { type LocalEndpointSlice, type LocalNamespace, type ServiceKey, serviceKey } from '../model/service.ts';
import { LocalFacts } from './local-facts.ts';

const TILL = serviceKey('shop', 'till');
const slice = (key: string, service: ServiceKey, address: string): LocalEndpointSlice => ({
  key,
  service,
  headless: false,
  endpoints: [sampleEndpoint(address)],
});
const namespace = (global?: boolean, labels = {}): LocalNamespace => ({ name: 'shop', global, labels });

describe('LocalFacts', () => {
  let touched: ServiceKey[];
  let facts: LocalFacts;
  beforeEach(() => {
    touched = [];
    facts = new LocalFacts(true);
    facts.onService((key) => touched.push(key));
  });
  const addresses = (key: ServiceKey) => facts.endpointsOf(key).map(({ address }) => address);
  const taken = () => touched.splice(0);

  it('takes a slice that moves to another Service away from the one it was of', () => {
    facts.setSlice('shop/a', slice('shop/a', KEY, '10.1.0.1'));
    facts.setSlice('shop/b', slice('shop/b', KEY, '10.1.0.2'));
    assert.deepEqual(taken(), [KEY, KEY]);
    facts.setSlice('shop/a', slice('shop/a', TILL, '10.1.0.1'));
    assert.deepEqual(taken(), [KEY, TILL]);
    assert.deepEqual([addresses(KEY), addresses(TILL)], [['10.1.0.2'], ['10.1.0.1']]);
    facts.setSlice('shop/a', undefined);
    facts.setSlice('shop/b', undefined);
    assert.deepEqual(taken(), [TILL, KEY]);
    assert.deepEqual([addresses(KEY), addresses(TILL)], [[], []]);
    facts.setSlice('shop/a', undefined);
    assert.deepEqual(taken(), []);
  });

  it('knows whether a namespace takes part: as it says, else by default, and not before it is there', () => {
    const takesPart = (value: LocalNamespace | undefined) => {
      facts.setNamespace('shop', value);
      return facts.takesPart('shop');
    };
    assert.equal(facts.takesPart('shop'), false);
    assert.deepEqual(
      [takesPart(namespace()), takesPart(namespace(false)), takesPart(namespace(true))],
      [true, false, true],
    );
    assert.equal(takesPart(undefined), false);
    facts = new LocalFacts(false);
    assert.deepEqual([takesPart(namespace()), takesPart(namespace(true))], [false, true]);
  });

  it('touches the Services of a namespace that changed, and of no other', () => {
    const far = serviceKey('far', 'cart');
    for (const key of [KEY, TILL, far]) facts.setService(key, sampleService(key));
    assert.deepEqual(taken(), [KEY, TILL, far]);
    facts.setNamespace('shop', namespace(false));
    assert.deepEqual(taken(), [KEY, TILL]);
    facts.setNamespace('shop', namespace(false));
    assert.deepEqual(taken(), []);
    facts.setNamespace('shop', namespace(false, { a: 'b' }));
    assert.deepEqual(taken(), [KEY, TILL]);
    facts.setService(TILL, undefined);
    assert.deepEqual(taken(), [TILL]);
    facts.setNamespace('shop', undefined);
    assert.deepEqual(taken(), [KEY]);
    assert.deepEqual([...facts.services.keys()], [KEY, far]);
  });
});
