import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { MapState } from './map-state.ts';
import type { MapOperation, ServiceValue } from './operation.ts';
import { stateDifference } from './state-difference.ts';

const LIMITS = { services: 10, slots: 100, backends: 100, affinity_ok: 100 };
const frontend = (n: number) =>
  ({ kind: 'ClusterIP', address: ip(`10.96.0.${n}`), port: 80, protocol: 'TCP' }) as const;
const backend = (id: number, address = `10.1.0.${id}`): MapOperation => ({
  kind: 'put-backend',
  id,
  backend: { address: ip(address), port: 80, clusterId: 1 },
});
const service = (n: number, value: Partial<ServiceValue> = {}): MapOperation => ({
  ...{ kind: 'put-service', frontend: frontend(n), id: n, generation: 1, count: 2 },
  ...{ affinitySeconds: 0, inline: [1, 2], ...value },
});
const slots = (...backends: readonly number[]): MapOperation => ({
  ...{ kind: 'put-slots', service: 2, generation: 1, first: 0, backends },
});
const members = (...backends: readonly number[]): MapOperation => ({
  ...{ kind: 'put-members', service: 2, generation: 1, backends },
});
const LARGE = { count: 8, inline: [], affinitySeconds: 60 };
const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];

/** What the maps hold after these operations, in place of others of the same kind and key. */
function state(...operations: readonly MapOperation[]): MapState {
  const built = new MapState(LIMITS);
  for (const each of operations) built.record(each);
  return built;
}

const BACKENDS = EIGHT.map((id) => backend(id));
const RIGHT = [...BACKENDS, service(1), slots(...EIGHT), members(...EIGHT), service(2, LARGE)];

describe('stateDifference()', () => {
  const said = (found: readonly MapOperation[]): string | undefined =>
    stateDifference(state(...RIGHT), state(...found));

  it('finds none between equals, and none in what nobody points to', () => {
    assert.equal(said(RIGHT), undefined);
    assert.equal(said([...RIGHT, backend(9)]), undefined);
  });

  const first = /^1 of 2 frontends are not as they were in the maps, first 10\.96\.0\.1:80\/TCP$/;
  const second = /^1 of 2 frontends .* first 10\.96\.0\.2:80\/TCP$/;
  const without = (gone: MapOperation): readonly MapOperation[] => RIGHT.filter((each) => each !== gone);
  const instead = (old: number, ...operations: readonly MapOperation[]) => RIGHT.toSpliced(old, 1, ...operations);
  const [ofFirst, ofSlots, ofMembers, ofSecond] = [8, 9, 10, 11];
  const cases: readonly (readonly [name: string, found: readonly MapOperation[], said: RegExp])[] = [
    ['a frontend that is gone', without(RIGHT[ofFirst] as MapOperation), first],
    ['a frontend that is new', [...RIGHT, service(3)], /^1 of 3 frontends .* first 10\.96\.0\.3:80\/TCP$/],
    ['another number of its Service', instead(ofFirst, service(1, { id: 7 })), first],
    ['another generation', instead(ofFirst, service(1, { generation: 2 })), first],
    ['another count', instead(ofFirst, service(1, { count: 1 })), first],
    ['another affinity', instead(ofSecond, service(2, { ...LARGE, affinitySeconds: 61 })), second],
    ['another backend in a slot', instead(ofFirst, service(1, { inline: [1, 3] })), first],
    ['slots in another order', instead(ofSlots, slots(2, 1, 3, 4, 5, 6, 7, 8)), second],
    ['a member that is gone', instead(ofMembers, members(1, 2, 3, 4, 5, 6, 7)), second],
    ['another member', instead(ofMembers, members(1, 2, 3, 4, 5, 6, 7, 9)), second],
    ['a backend that is another', instead(7, backend(8, '10.1.0.99')), second],
    ['a backend that is gone', RIGHT.toSpliced(7, 1), second],
  ];
  for (const [name, found, expected] of cases) it(`finds ${name}`, () => assert.match(said(found) ?? '', expected));
});
