import assert from 'node:assert/strict';
import fc from 'fast-check';
import { familyOf } from '../model/ip.ts';
import { compareRouteBackends, type FrontendRoute } from '../model/routes.ts';
import { type Clients, frontendId, type ServiceExplanation } from '../model/service-table.ts';
import { explainService } from './explain-service.ts';
import { mergeRoutes } from './merge-service.ts';
import { naiveBackends } from './naive.fixture.ts';
import { anyWorld, contextOf, factsOf, type World } from './world.fixture.ts';

const routes = (world: World) => mergeRoutes(contextOf(world), factsOf(world)).routes;
const explain = (world: World): ServiceExplanation => explainService(contextOf(world), factsOf(world));

const anyOrder = <T>(items: readonly T[]): fc.Arbitrary<T[]> =>
  fc.shuffledSubarray([...items], { minLength: items.length });

/** The same facts, listed in another order at every level at which order means nothing. */
const shuffled = (world: World): fc.Arbitrary<World> =>
  fc
    .record({
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
    })
    .map((parts) => ({ ...world, ...parts }));

const choiceFor = (route: FrontendRoute | undefined, clients: Clients) =>
  clients === 'outside' ? route?.outside : route?.backends;

describe('the merge, for any facts', () => {
  it('leads each frontend to the backends that a naive reading of the rules gives', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const merged = new Map(routes(world).map((route) => [frontendId(route.frontend), route]));
        for (const { clients, frontends } of explain(world).groups) {
          for (const frontend of frontends) {
            const backends = choiceFor(merged.get(frontendId(frontend)), clients);
            assert.deepEqual(
              backends && [...new Set(backends.map(({ address, port }) => `${address} ${port}`))].sort(),
              naiveBackends(world, frontend, clients),
            );
          }
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('makes routes that a datapath takes, whatever remotes say', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        for (const { frontend, backends, outside = [] } of routes(world)) {
          for (const choice of [backends, outside]) {
            for (const [i, backend] of choice.entries()) {
              const next = choice[i + 1];
              if (next) assert.ok(next === backend || compareRouteBackends(backend, next) < 0);
              assert.equal(familyOf(backend.address), familyOf(frontend.address));
              assert.doesNotMatch(backend.address, /^::ffff:.*\./);
            }
          }
        }
      }),
    );
  });

  it('explains exactly what it decides', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const { programmed, groups } = explain(world);
        const merged = new Map(routes(world).map((route) => [frontendId(route.frontend), route]));
        for (const { clients, frontends, decisions } of groups) {
          const selected = decisions
            .filter(({ verdict }) => verdict === 'selected')
            .map(({ backend: { address, port, cluster } }) => ({ address, port, clusterId: cluster.id }))
            .sort(compareRouteBackends);
          for (const frontend of frontends) {
            assert.deepEqual(choiceFor(merged.get(frontendId(frontend)), clients), programmed ? selected : undefined);
          }
        }
      }),
    );
  });

  it('decides the same whatever the order of clusters, slices and backends', () => {
    fc.assert(
      fc.property(
        anyWorld.chain((world) => fc.tuple(fc.constant(world), shuffled(world))),
        ([world, same]) => {
          assert.deepEqual(routes(same), routes(world));
          assert.deepEqual(explain(same), explain(world));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('decides the same whatever was known before, and keeps the objects of what stays', () => {
    fc.assert(
      fc.property(anyWorld, anyWorld, (world, { slices, remotes }) => {
        const before = { ...world, slices, remotes };
        const [context, facts] = [contextOf(world), factsOf(world)];
        const byId = (of: World) => new Map(routes(of).map((route) => [frontendId(route.frontend), route]));
        assert.deepEqual(mergeRoutes(context, facts, byId(before)).routes, routes(world));
        const known = byId(world);
        for (const { frontend, backends, outside } of mergeRoutes(context, facts, known).routes) {
          const kept = known.get(frontendId(frontend));
          assert.ok(backends.every((backend, i) => backend === kept?.backends[i]));
          assert.ok(outside?.every((backend, i) => backend === kept?.outside?.[i]) ?? true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('accounts for every backend that anybody offers', () => {
    fc.assert(
      fc.property(anyWorld, (world) => {
        const explained = explain(world);
        const listed = [...explained.groups.flatMap(({ decisions }) => decisions), ...explained.unmatched];
        const seen = new Set(
          listed.map(
            ({ backend: { cluster, address, port, protocol } }) => `${cluster.id} ${address} ${port}/${protocol}`,
          ),
        );
        const offered = [
          ...factsOf(world).endpoints.map((each) => ({ id: 1, ...each })),
          ...world.remotes.flatMap(({ cluster, service }) =>
            service.backends.map((each) => ({ id: cluster.id, ...each })),
          ),
        ];
        for (const { id, address, ports } of offered) {
          for (const { port, protocol } of ports) assert.ok(seen.has(`${id} ${address} ${port}/${protocol}`));
        }
        for (const { detail } of listed) assert.notEqual(detail, '');
      }),
    );
  });
});
