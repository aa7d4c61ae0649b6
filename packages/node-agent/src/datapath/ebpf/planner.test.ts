/**
 * The planner against a naive model of the maps and of their readers. After each single operation every reader that can
 * exist is played: one that begins now, and each that took its service entry since the last grace period. Each must find
 * backends of the old or the new set; where it can tell, one of the two as a whole.
 */
import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { compareRouteBackends, type FrontendRoute, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import fc from 'fast-check';
import { carryOut, type MapWriter } from './executor.ts';
import {
  INLINE_BACKENDS,
  putBackend,
  putService,
  putServiceKey,
  putWords,
  TABLE_NAMES,
  TABLES,
  type TableName,
  type TableSizes,
} from './layout.ts';
import { areAsKnown } from './map-check.ts';
import { MapState, type Retiring } from './map-state.ts';
import { NaiveKernel } from './naive-kernel.fixture.ts';
import { entryCount, firstEntries, type MapOperation, type Step } from './operation.ts';
import { partsOf, SLOTS_A_PART } from './parts.ts';
import { planChanges } from './plan-changes.fixture.ts';
import { planSweep } from './planner.ts';
import { type ReadableMaps, recoverTables, routesOf } from './recovery.ts';
import { stateDifference } from './state-difference.ts';

const AMPLE: TableSizes = { services: 1000, slots: 1000, backends: 1000, affinity_ok: 1000 };

const frontend = (n: number): Frontend => ({
  kind: 'ClusterIP',
  address: ip(`10.96.0.${n}`),
  port: 80,
  protocol: 'TCP',
});
const backend = (n: number, clusterId = 1): RouteBackend => ({ address: ip(`10.0.0.${n}`), port: 8080, clusterId });
const frontendOf = (id: string): Frontend =>
  [1, 2, 3, 4].map(frontend).find((f) => frontendId(f) === id) ?? frontend(0);
const sorted = (backends: readonly RouteBackend[]) => [...backends].sort(compareRouteBackends);

const NUMBERS = Array.from({ length: 26 }, (_, n) => n + 1);

/** Small sets, and large ones that nearly all others differ much from. */
const someBackends = fc
  .tuple(
    fc.oneof(fc.subarray(NUMBERS.slice(0, 10)), fc.subarray(NUMBERS, { minLength: 16 })),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom(1, 1, 2, 3),
  )
  .map(([list, cluster, shares]) =>
    sorted(list.flatMap((n) => Array.from({ length: n % 3 === 0 ? shares : 1 }, () => backend(n, cluster)))),
  );

const wish: fc.Arbitrary<FrontendRoute> = fc.record({
  frontend: fc.integer({ min: 1, max: 4 }).map(frontend),
  backends: someBackends,
  sessionAffinitySeconds: fc.constantFrom(0, 0, 60, 120),
});

type Turn =
  | { readonly kind: 'change'; readonly set: readonly FrontendRoute[]; readonly remove: readonly Frontend[] }
  /** All frontends lose some backends, by their places, and get others. */
  | {
      readonly kind: 'adjust';
      readonly out: readonly number[];
      readonly into: readonly number[];
      readonly longer: boolean;
    }
  | { readonly kind: 'sweep'; readonly waits: boolean }
  /** A grace period begins after so many batches of what follows; or it ends, with a sweep. */
  | { readonly kind: 'grace'; readonly after: number };

const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc
      .record({ set: fc.uniqueArray(wish, { selector: (w) => w.frontend.address }), gone: fc.subarray([1, 2, 3, 4]) })
      .map(({ set, gone }): Turn => {
        const wanted = new Set(set.map((w) => frontendId(w.frontend)));
        return { kind: 'change', set, remove: gone.map(frontend).filter((f) => !wanted.has(frontendId(f))) };
      }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('adjust' as const),
      out: fc.uniqueArray(fc.nat(24), { maxLength: 3 }),
      into: fc.uniqueArray(fc.integer({ min: 1, max: 26 }), { maxLength: 3 }),
      longer: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.boolean().map((waits): Turn => ({ kind: 'sweep', waits })) },
  { weight: 2, arbitrary: fc.nat(6).map((after): Turn => ({ kind: 'grace', after })) },
);

/** Each route a little different; a backend that comes in belongs to a third cluster, so it may also replace one. */
function adjusted(routes: Iterable<FrontendRoute>, { out, into, longer }: Turn & { kind: 'adjust' }): FrontendRoute[] {
  return [...routes].map((route) => {
    const left = route.backends.filter((_, at) => !out.includes(at));
    const incoming = into.map((n) => backend(n, 3));
    const others = left.filter(({ address }) => !incoming.some((each) => each.address === address));
    const seconds = route.sessionAffinitySeconds;
    const sessionAffinitySeconds = longer && seconds > 0 ? seconds + 1 : seconds;
    return { ...route, backends: sorted([...others, ...incoming]), sessionAffinitySeconds };
  });
}

/** The kernel and the picture of it, with what happens beside: a grace period that may begin between two batches. */
class World {
  readonly kernel = new NaiveKernel();
  /** The test may take another, read from the kernel. */
  tables: MapState;
  /** One that is to begin after so many batches. */
  #beginsAfter: number | undefined;
  #grace: { readonly retiring: Retiring; readonly begun: number } | undefined;

  constructor(limits = AMPLE) {
    this.tables = new MapState(limits);
  }

  /** Returns the changes that failed: the one whose operation is the `failAt`th fails after half of its entries. */
  async carryOut(steps: readonly Step[], failAt = -1): Promise<ReadonlySet<number>> {
    let at = 0;
    const write = (operations: readonly MapOperation[]): ReturnType<MapWriter['write']> => {
      if (this.#beginsAfter !== undefined && this.#beginsAfter-- === 0) this.#begin();
      let done = 0;
      for (const operation of operations) {
        const fails = at++ === failAt && !operation.kind.startsWith('delete');
        const entries = fails ? entryCount(operation) >> 1 : entryCount(operation);
        if (entries > 0) this.kernel.perform(firstEntries(operation, entries));
        this.kernel.check();
        done += entries;
        if (fails) return { done, error: 'as was wished' };
      }
      return { done, error: undefined };
    };
    const grace = async (): Promise<void> => this.kernel.perform({ kind: 'grace' });
    return new Set((await carryOut(steps, this.tables, { write, grace })).keys());
  }

  async sweep(waits: boolean): Promise<void> {
    if (waits) await this.carryOut([{ operation: { kind: 'grace' }, change: -1 }]);
    for (const _ of ['what is not pointed to', 'its backends']) await this.carryOut(planSweep(this.tables));
  }

  /** Begins one, or ends it with a sweep. */
  async grace(after: number): Promise<void> {
    if (this.#beginsAfter === undefined && !this.#grace) {
      this.#beginsAfter = after;
      return;
    }
    if (!this.#grace) this.#begin();
    if (this.#grace) this.kernel.endGrace(this.#grace.begun);
    if (this.#grace) this.tables.release(this.#grace.retiring);
    this.#grace = undefined;
    await this.sweep(false);
  }

  end(): void {
    if (this.#grace) this.tables.resume(this.#grace.retiring);
    this.#grace = undefined;
    this.#beginsAfter = undefined;
  }

  #begin(): void {
    this.#beginsAfter = undefined;
    this.#grace = { retiring: this.tables.beginGrace(), begun: this.kernel.beginGrace() };
    this.kernel.check();
  }
}

/** Runs the turns; returns what should be served in the end. Of a change that failed that is what the kernel has. */
async function play(turns: readonly Turn[], world: World, failAt = -1): Promise<Map<string, FrontendRoute>> {
  const { kernel, tables } = world;
  const expected = new Map<string, FrontendRoute>();
  const unfinished = new Set<string>();
  for (const [at, step] of turns.entries()) {
    if (step.kind === 'sweep') {
      await world.sweep(step.waits);
      continue;
    }
    if (step.kind === 'grace') {
      await world.grace(step.after);
      continue;
    }
    const set = step.kind === 'change' ? step.set : adjusted(expected.values(), step);
    const remove = step.kind === 'change' ? step.remove : [];
    const plan = planChanges(tables, set, remove);
    const lost = new Set(plan.failures.map((failure) => frontendId(failure.frontend)));
    kernel.allow(set);
    const torn = new Set<string>();
    for (const change of await world.carryOut(plan.steps, at % 3 === 1 ? failAt : -1)) {
      const given = plan.changes[change];
      if (given) torn.add(frontendId(given));
    }
    for (const { frontend: each } of set) {
      const id = frontendId(each);
      if (torn.has(id)) unfinished.add(id);
      else if (!lost.has(id)) unfinished.delete(id);
    }
    kernel.settle(unfinished);
    for (const wanted of set) {
      const id = frontendId(wanted.frontend);
      const found = kernel.served().get(id);
      if (torn.has(id) && found) expected.set(id, { ...(expected.get(id) ?? wanted), backends: distinct(found) });
      else if (!torn.has(id) && !lost.has(id)) expected.set(id, wanted);
    }
    for (const gone of remove) expected.delete(frontendId(gone));
    assert.deepEqual(served(kernel, unfinished), routed(expected, unfinished));
    kernel.check();
    const sizes = {
      services: kernel.services.size,
      slots: kernel.slots.size,
      backends: kernel.backends.size,
      affinity_ok: kernel.members.size,
    };
    for (const name of TABLE_NAMES) assert.ok(sizes[name] <= tables.limits[name], name);
  }
  world.end();
  return expected;
}

/** The kernel's maps as bytes, as they are read after a restart. */
function mapsOf(kernel: NaiveKernel, limits: TableSizes): ReadableMaps {
  const words = (key: string): readonly number[] => key.split(' ').map(Number);
  const entries = (name: TableName): readonly (readonly [Buffer, Buffer])[] => {
    const [key, value] = [Buffer.alloc(TABLES[name].keySize), Buffer.alloc(TABLES[name].valueSize)];
    const list: [Buffer, Buffer][] = [];
    const add = (fill: () => void): void => {
      fill();
      list.push([Buffer.from(key), Buffer.from(value)]);
    };
    if (name === 'slots')
      for (const [at, ids] of kernel.slots) add(() => [putWords(key, 0, ...words(at)), putWords(value, 0, ...ids)]);
    if (name === 'affinity_ok') for (const at of kernel.members) add(() => putWords(key, 0, ...words(at)));
    if (name === 'backends')
      for (const [id, each] of kernel.backends) add(() => [putWords(key, 0, id), putBackend(value, 0, each)]);
    if (name === 'services')
      for (const [id, entry] of kernel.services)
        add(() => [putServiceKey(key, 0, frontendOf(id)), putService(value, 0, entry)]);
    return list;
  };
  return {
    limits,
    slotsAPart: SLOTS_A_PART,
    each: async (name, visit) => {
      for (const [key, value] of entries(name)) visit(key, 0, value, 0);
    },
  };
}

/** A change that failed half-way may leave one backend in two slots. */
const distinct = (backends: readonly RouteBackend[]): readonly RouteBackend[] =>
  sorted(backends).filter((each, at, all) => at === 0 || each.address !== all[at - 1]?.address);

const served = (kernel: NaiveKernel, but: ReadonlySet<string> = new Set()) =>
  new Map([...kernel.served()].filter(([id]) => !but.has(id)).map(([id, backends]) => [id, sorted(backends)]));

const routed = (expected: ReadonlyMap<string, FrontendRoute>, but: ReadonlySet<string> = new Set()) =>
  new Map([...expected].filter(([id]) => !but.has(id)).map(([id, { backends }]) => [id, backends]));

function assertNothingLeft(expected: ReadonlyMap<string, FrontendRoute>, kernel: NaiveKernel, tables: MapState) {
  const all = [...expected.values()];
  const large = all.filter(({ backends }) => backends.length > INLINE_BACKENDS);
  const sticky = large.filter(({ sessionAffinitySeconds }) => sessionAffinitySeconds > 0);
  const count = (routes: readonly FrontendRoute[]): number => routes.flatMap(({ backends }) => backends).length;
  const distinctBackends = new Set(all.flatMap(({ backends }) => backends.map((b) => `${b.address} ${b.clusterId}`)));
  const members = sticky.map((route) => ({ ...route, backends: distinct(route.backends) }));
  const parts = large.reduce((sum, { backends }) => sum + partsOf(backends.length), 0);
  const wanted = [parts, count(members), distinctBackends.size];
  assert.deepEqual([kernel.slots.size, kernel.members.size, kernel.backends.size], wanted);
  assert.deepEqual([tables.partCount, tables.memberCount, tables.backends.size], wanted);
  assert.equal([...kernel.slots.values()].flat().filter((id) => id !== 0).length, count(large));
  assert.equal(tables.hasGarbage, false);
}

describe('planChanges()', () => {
  it('keeps D1 and D2 after every step, and ends at what was desired', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 12 }), async (turns) => {
        const world = new World();
        const expected = await play(turns, world);
        assert.deepEqual(served(world.kernel), routed(expected));
      }),
      { numRuns: 50 },
    );
  });

  it('leaves nothing behind: after a sweep the maps hold what is served and no more', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 12 }), async (turns) => {
        const world = new World();
        const { kernel, tables } = world;
        const expected = await play(turns, world);
        await world.sweep(true);
        assertNothingLeft(expected, kernel, tables);
      }),
      { numRuns: 40 },
    );
  });

  it('keeps D1 and D2 when operations fail, serves the rest, and sets it right the next time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 8 }), fc.nat(30), async (turns, failAt) => {
        const world = new World();
        const { kernel, tables } = world;
        const expected = await play(turns, world, failAt);
        kernel.allow([...expected.values()]);
        const { steps } = planChanges(tables, expected.values());
        await world.carryOut(steps);
        assert.deepEqual(served(kernel), routed(expected));
        kernel.settle();
        await world.sweep(true);
        assertNothingLeft(expected, kernel, tables);
      }),
      { numRuns: 40 },
    );
  });

  it('leaves usable tables wherever it is stopped; the next process finds them and goes on', async () => {
    const stop = fc.record({ turns: fc.array(turn, { maxLength: 6 }), last: turn, at: fc.nat(60) });
    await fc.assert(
      fc.asyncProperty(stop, async ({ turns, last, at }) => {
        const world = new World();
        const { kernel } = world;
        const old = await play(turns, world);
        const wanted = last.kind === 'change' ? last.set : last.kind === 'adjust' ? adjusted(old.values(), last) : [];
        kernel.allow(wanted);
        const { steps } = planChanges(world.tables, wanted);
        await world.carryOut(steps.slice(0, at));
        kernel.perform({ kind: 'grace' });
        const tables = await recoverTables(mapsOf(kernel, AMPLE));
        world.tables = tables;
        // Beyond the last one that a slot names they are not looked at, and written over.
        for (const id of kernel.backends.keys()) if (!tables.backends.has(id)) kernel.backends.delete(id);
        for (const { frontend: found, backends } of routesOf(tables)) {
          const id = frontendId(found);
          const [was, will] = [old.get(id)?.backends, wanted.find((w) => frontendId(w.frontend) === id)?.backends];
          const either = [...(was ?? []), ...(will ?? [])];
          assert.ok(backends.every((b) => either.some((e) => compareRouteBackends(e, b) === 0)));
          assert.deepEqual(backends, sorted(backends));
          assert.equal(backends.length > 0, (kernel.served().get(id) ?? []).length > 0);
        }
        await world.carryOut(planChanges(tables, wanted).steps);
        const expected = new Map(old);
        for (const route of wanted) expected.set(frontendId(route.frontend), route);
        assert.deepEqual(served(kernel), routed(expected));
        kernel.settle();
        await world.sweep(true);
        assertNothingLeft(expected, kernel, tables);
        assert.deepEqual(planChanges(tables, expected.values()).steps, []);
      }),
      { numRuns: 40 },
    );
  });

  it('is known to the last entry after any history, and any entry that is lost, changed or added is noticed', async () => {
    const damage = fc.record({
      table: fc.constantFrom('services', 'slots', 'backends', 'members'),
      at: fc.nat(),
      by: fc.constantFrom('lost', 'changed', 'added'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 8 }), fc.option(damage), async (turns, damaged) => {
        const world = new World();
        const { kernel, tables } = world;
        await play(turns, world);
        assert.equal(await areAsKnown(tables, mapsOf(kernel, AMPLE)), true);
        assert.equal(stateDifference(tables, await recoverTables(mapsOf(kernel, AMPLE))), undefined);
        fc.pre(damaged !== null && hurt(kernel, damaged));
        assert.equal(await areAsKnown(tables, mapsOf(kernel, AMPLE)), false);
      }),
      { numRuns: 300 },
    );
  });

  it('writes only what differs when little of a large set does', async () => {
    const some = (from: number, to: number) => sorted(NUMBERS.slice(from, to).map((n) => backend(n)));
    const affinity = { frontend: frontend(1), sessionAffinitySeconds: 60 };
    const world = new World();
    const { kernel, tables } = world;
    const kindsTo = async (backends: readonly RouteBackend[]): Promise<readonly string[]> => {
      const plan = planChanges(tables, [{ ...affinity, backends }]);
      kernel.allow([{ ...affinity, backends }]);
      await world.carryOut(plan.steps);
      kernel.settle();
      return plan.steps.map(({ operation }) => operation.kind);
    };
    await kindsTo(some(0, 20));
    const change = ['change-slot', 'delete-members', 'put-service'];
    assert.deepEqual(await kindsTo(some(1, 21)), ['put-backend', 'put-members', ...change]);
    assert.deepEqual(await kindsTo(some(1, 22)), ['put-backend', 'put-members', 'change-slot', 'put-service']);
    assert.deepEqual(await kindsTo(some(2, 22)), change);
    assert.deepEqual(await kindsTo(some(2, 23)), ['put-backend', 'put-members', 'change-slot', 'put-service']);
    assert.deepEqual(await kindsTo(some(2, 23)), []);
    await world.sweep(true);
    assert.deepEqual([kernel.slots.size, kernel.members.size, kernel.backends.size], [2, 21, 21]);
    await kindsTo(some(2, 18));
    await world.sweep(true);
    const grown = ['put-backend', 'put-backend', 'put-members', 'put-slots', 'put-service'];
    assert.deepEqual([kernel.slots.size, await kindsTo(some(2, 20))], [1, grown]);
  });

  it('never fills a table beyond its limit: what does not fit stays as it was', async () => {
    const tight = fc.record({
      services: fc.integer({ min: 1, max: 4 }),
      slots: fc.integer({ min: 0, max: 6 }),
      backends: fc.integer({ min: 1, max: 30 }),
      affinity_ok: fc.integer({ min: 0, max: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 8 }), tight, async (turns, limits) => {
        const world = new World(limits);
        const expected = await play(turns, world);
        assert.deepEqual(served(world.kernel), routed(expected));
      }),
      { numRuns: 50 },
    );
  });

  it('does nothing when the kernel has what is desired', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(wish, { selector: (w) => w.frontend.address }), async (set) => {
        const world = new World();
        await play([{ kind: 'change', set, remove: [] }], world);
        assert.deepEqual(planChanges(world.tables, set).steps, []);
      }),
    );
  });

  it('leaves a frontend as it is whose route breaks the contract, however little of it is new', async () => {
    const world = new World();
    const twenty = sorted(NUMBERS.slice(0, 20).map((n) => backend(n)));
    const route = { frontend: frontend(1), backends: twenty, sessionAffinitySeconds: 0 };
    await play([{ kind: 'change', set: [route], remove: [] }], world);
    const faultOf = (backends: readonly RouteBackend[]): string | undefined => {
      const { steps, failures } = planChanges(world.tables, [{ ...route, backends }]);
      assert.deepEqual(steps, []);
      return failures[0]?.reason;
    };
    const six = { ...backend(1), address: ip('fd00::1') };
    assert.match(faultOf([...twenty, six]) ?? '', /backend fd00::1 port 8080 must be of the frontend's family/);
    assert.match(faultOf([...twenty, { ...backend(99), port: 0 }]) ?? '', /backend port must be 1-65535/);
    assert.match(faultOf([...twenty, backend(21)]) ?? '', /must be sorted: 10.0.0.21 port 8080 is out/);
    assert.equal(faultOf(twenty), undefined);
  });

  it('says which table is too small', () => {
    const tables = new MapState({ ...AMPLE, slots: 1 });
    const backends = Array.from({ length: 17 }, (_, n) => backend(n + 101));
    const wanted = { frontend: frontend(1), backends, sessionAffinitySeconds: 0 };
    const [failure] = planChanges(tables, [wanted]).failures;
    assert.match(failure?.reason ?? '', /table "slots" is too small: .* 2 more entries: current value is 1 of 1/);
  });

  describe('with what is there', () => {
    const some = (from: number, to: number) => sorted(NUMBERS.slice(from, to).map((n) => backend(n)));
    const route = (n: number, backends: readonly RouteBackend[], sessionAffinitySeconds = 0): FrontendRoute => ({
      frontend: frontend(n),
      backends,
      sessionAffinitySeconds,
    });
    const having = async (routes: readonly FrontendRoute[], limits = AMPLE): Promise<World> => {
      const world = new World(limits);
      await play([{ kind: 'change', set: routes, remove: [] }], world);
      await world.sweep(true);
      return world;
    };
    const kindsOf = ({ tables }: World, set: readonly FrontendRoute[], remove: readonly Frontend[] = []) =>
      planChanges(tables, set, remove).steps.map(({ operation }) => operation.kind);

    it('changes slots in place where there is no affinity, too', async () => {
      const kinds = kindsOf(await having([route(1, some(0, 20))]), [route(1, some(1, 21))]);
      assert.deepEqual(kinds, ['put-backend', 'change-slot', 'put-service']);
    });

    it('makes a new set where more than an eighth changes, and where affinity begins or ends', async () => {
      const world = await having([route(1, some(0, 20)), route(2, some(0, 20), 60)]);
      const anew = ['put-backend', 'put-backend', 'put-backend', 'put-slots', 'put-service'];
      assert.deepEqual(kindsOf(world, [route(1, some(3, 23))]), anew);
      assert.deepEqual(kindsOf(world, [route(1, some(0, 20), 60)]), ['put-members', 'put-slots', 'put-service']);
      assert.deepEqual(kindsOf(world, [route(2, some(0, 20))]), ['put-slots', 'put-service']);
    });

    it('writes a small set into the entry, also where a large one was', async () => {
      const [step, ...others] = planChanges((await having([route(1, some(0, 8))])).tables, [
        route(1, some(0, 7)),
      ]).steps;
      assert.deepEqual(others, []);
      assert.ok(step?.operation.kind === 'put-service');
      assert.equal(step.operation.inline.length, 7);
    });

    it('writes the entry where only the seconds of affinity differ', async () => {
      const world = await having([route(1, some(0, 20), 60), route(2, some(0, 3), 60)]);
      for (const wanted of [route(1, some(0, 20), 90), route(2, some(0, 3), 90)]) {
        assert.deepEqual(kindsOf(world, [wanted]), ['put-service']);
      }
    });

    it('makes a new set where the slots are not what was thought', async () => {
      const { tables } = await having([route(1, some(0, 20)), route(2, some(20, 21))]);
      const set = tables.services.get(frontendId(frontend(1))) ?? assert.fail();
      set.sorted = some(1, 21);
      const { steps } = planChanges(tables, [route(1, some(1, 20))]);
      assert.deepEqual(
        steps.map(({ operation }) => operation.kind),
        ['put-slots', 'put-service'],
      );
    });

    it('fills the parts that are missing, also between others that a failed sweep left', async () => {
      const many = Array.from({ length: 306 }, (_, n) => ({ ...backend(1), port: 8_000 + n }));
      const world = await having([route(1, sorted(many.slice(0, 272)))]);
      const { service, generation } = world.tables.services.get(frontendId(frontend(1))) ?? assert.fail();
      const left = { kind: 'put-slots', service, generation, first: 288, backends: [1] } as const;
      world.kernel.perform(left);
      world.tables.record(left);
      const wanted = route(1, sorted(many));
      const { steps } = planChanges(world.tables, [wanted]);
      const put = steps.flatMap(({ operation }) => (operation.kind === 'put-slots' ? [operation] : []));
      assert.deepEqual(
        put.map(({ first, backends }) => [first, backends.length]),
        [
          [272, 16],
          [304, 2],
        ],
      );
      world.kernel.allow([wanted]);
      await world.carryOut(steps);
      assert.deepEqual(served(world.kernel).get(frontendId(wanted.frontend)), wanted.backends);
    });

    it('says which change a removal is', async () => {
      const { tables } = await having([route(1, some(0, 1)), route(2, some(0, 2))]);
      const { steps, changes } = planChanges(tables, [route(1, some(1, 2))], [frontend(2)]);
      const removal = steps.find(({ operation }) => operation.kind === 'delete-service');
      assert.deepEqual(changes[removal?.change ?? -1], frontend(2));
    });

    it('waits for readers only before what is added after a deletion', async () => {
      const world = await having([route(1, some(0, 1)), route(2, some(0, 2))]);
      assert.deepEqual(kindsOf(world, [route(3, some(0, 1))]), ['put-service']);
      await world.carryOut(planChanges(world.tables, [], [frontend(2)]).steps);
      assert.deepEqual(kindsOf(world, [route(1, some(0, 2))]), ['put-service']);
      const { steps } = planChanges(world.tables, [route(3, some(0, 1))]);
      assert.deepEqual(steps[0], { operation: { kind: 'grace' }, change: -1 });
      assert.equal(steps[1]?.operation.kind, 'put-service');
    });

    it('counts the room that there is: what is known, or takes the place of another, needs none', async () => {
      const full = { services: 2, slots: 2, backends: 17, affinity_ok: 8 };
      const world = await having([route(1, some(0, 16)), route(2, some(0, 8), 60)], full);
      const reasons = (...set: readonly FrontendRoute[]) =>
        planChanges(world.tables, set).failures.map(({ reason }) => /"(\w+)".* (\d+ of \d+)$/.exec(reason)?.slice(1));
      assert.deepEqual(reasons(route(1, some(1, 17))), [], 'one slot is written over, one backend is new');
      assert.deepEqual(reasons(route(1, some(0, 17))), [['slots', '0 of 2']]);
      assert.deepEqual(reasons(route(1, some(2, 18))), [['backends', '1 of 17']]);
      assert.deepEqual(reasons(route(2, some(1, 9), 60)), [['affinity_ok', '0 of 8']], 'a new set');
      assert.deepEqual(reasons(route(3, some(0, 1))), [['services', '0 of 2']]);
      assert.deepEqual(reasons(route(1, some(0, 7), 60), route(2, some(0, 7))), [], 'small ones have no slots');
      const roomy = await having([route(1, some(0, 16), 60)], { ...full, slots: 99, affinity_ok: 16 });
      assert.equal(planChanges(roomy.tables, [route(1, some(0, 17), 60)]).failures.length, 1, 'one member more');
    });
  });
});

/** One entry, as somebody else might; false when there is none. */
function hurt(
  { services, slots, backends, members }: NaiveKernel,
  {
    table,
    at,
    by,
  }: { readonly table: 'services' | 'slots' | 'backends' | 'members'; readonly at: number; readonly by: string },
): boolean {
  const nth = <T>(all: Iterable<T>): T | undefined => [...all][at % Math.max(1, [...all].length)];
  if (table === 'services') {
    const [id, value] = nth(services) ?? [];
    if (id === undefined || value === undefined) return false;
    if (by === 'lost') services.delete(id);
    else if (by === 'changed') services.set(id, { ...value, affinitySeconds: value.affinitySeconds + 1 });
    else services.set(frontendId(frontend(99)), value);
  } else if (table === 'slots') {
    const [key, value] = nth(slots) ?? [];
    if (key === undefined || value === undefined) return false;
    if (by === 'lost') slots.delete(key);
    else if (by === 'changed') slots.set(key, value.with(at % SLOTS_A_PART, 98));
    else slots.set('99 1 0', value);
  } else if (table === 'backends') {
    const [id, value] = nth(backends) ?? [];
    // What stands at an id of nobody's is nobody's matter.
    if (id === undefined || value === undefined || by === 'added') return false;
    if (by === 'lost') backends.set(id, { ...value, port: 0 });
    else backends.set(id, { ...value, clusterId: value.clusterId + 1 });
  } else {
    const key = nth(members);
    if (key === undefined) return false;
    if (by === 'added') members.add('99 1 1');
    else members.delete(key);
    if (by === 'changed') members.add(key.replace(/\d+$/, '99'));
  }
  return true;
}
