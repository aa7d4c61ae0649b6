import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ServiceEntry } from '../model/service-table.ts';
import { endpointsOf } from './endpoints.ts';
import { type MergeContext, mergeService } from './merge-service.ts';
import { naiveBackends } from './naive.fixture.ts';
import { anyWorld, EAST, KEY, type World } from './world.fixture.ts';

const CONTEXT: MergeContext = { local: EAST, node: 'node-1', scope: 'global', ownRanges: () => undefined };

const merge = ({ service, slices, remotes }: World): ServiceEntry =>
  mergeService(CONTEXT, { key: KEY, service, endpoints: endpointsOf(service, slices), remotes });

const anyOrder = <T>(items: readonly T[]): fc.Arbitrary<T[]> =>
  fc.shuffledSubarray([...items], { minLength: items.length });

/** The same facts, listed in another order at every level. */
const shuffled = (world: World): fc.Arbitrary<World> =>
  fc.record({
    service: fc.constant(world.service),
    slices: anyOrder(world.slices),
    remotes: anyOrder(world.remotes).chain((remotes) =>
      fc.tuple(
        ...remotes.map((remote) =>
          anyOrder(remote.service.backends).map((backends) => ({
            ...remote,
            service: { ...remote.service, backends },
          })),
        ),
      ),
    ),
  });

describe('mergeService() for any facts', () => {
  it('uses the backends that a naive reading of the rules uses', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        for (const { frontends, decisions } of merge(world).groups) {
          const used = decisions
            .filter(({ verdict }) => verdict === 'selected')
            .map(({ backend }) => `${backend.address} ${backend.port}`)
            .sort();
          for (const frontend of frontends) assert.deepEqual(used, naiveBackends(world, frontend, CONTEXT.node));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('gives the same entry whatever the order of clusters, slices and backends', () => {
    fc.assert(
      fc.property(
        anyWorld.chain((world) => fc.tuple(fc.constant(world), shuffled(world))),
        ([world, same]) => assert.deepEqual(merge(same), merge(world)),
      ),
      { numRuns: 500 },
    );
  });

  it('accounts for every backend that anybody offers', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const entry = merge(world);
        const listed = [...entry.groups.flatMap(({ decisions }) => decisions), ...entry.unmatched];
        const seen = new Set(listed.map(({ backend }) => `${backend.cluster.name} ${backend.address} ${backend.port}`));
        for (const { cluster, service } of world.remotes) {
          for (const { address, ports } of service.backends) {
            for (const { port } of ports) assert.ok(seen.has(`${cluster.name} ${address} ${port}`));
          }
        }
        for (const { detail } of listed) assert.notEqual(detail, '');
      }),
    );
  });
});
