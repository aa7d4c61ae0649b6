/**
 * The planner against a naive model of the maps and of their readers. After each single operation every reader that can
 * exist is played: one that begins now, and each that took its service entry since the last grace period. Each must find
 * one whole set, the old or the new, and all its backends.
 */
import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import fc from 'fast-check';
import { KernelTables, type TableLimits } from './kernel-tables.ts';
import { INLINE_BACKENDS } from './layout.ts';
import { NaiveKernel } from './naive-kernel.fixture.ts';
import { type Plan, planChanges, planSweep } from './planner.ts';

const AMPLE: TableLimits = { services: 1000, slots: 1000, backends: 1000, affinityOk: 1000 };

const frontend = (n: number): Frontend => ({
  kind: 'ClusterIP',
  address: ip(`10.96.0.${n}`),
  port: 80,
  protocol: 'TCP',
});
const backend = (n: number): RouteBackend => ({ address: ip(`10.0.0.${n}`), port: 8080, clusterId: 1 });

const wish: fc.Arbitrary<FrontendRoute> = fc.record({
  frontend: fc.integer({ min: 1, max: 4 }).map(frontend),
  backends: fc.subarray([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).map((list) => list.map(backend)),
  sessionAffinitySeconds: fc.constantFrom(0, 0, 60, 120),
});

type Turn =
  | { readonly kind: 'change'; readonly set: readonly FrontendRoute[]; readonly remove: readonly Frontend[] }
  | { readonly kind: 'sweep'; readonly waits: boolean };

const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .record({ set: fc.uniqueArray(wish, { selector: (w) => w.frontend.address }), gone: fc.subarray([1, 2, 3, 4]) })
      .map(({ set, gone }): Turn => {
        const wanted = new Set(set.map((w) => frontendId(w.frontend)));
        return { kind: 'change', set, remove: gone.map(frontend).filter((f) => !wanted.has(frontendId(f))) };
      }),
  },
  { weight: 1, arbitrary: fc.boolean().map((waits): Turn => ({ kind: 'sweep', waits })) },
);

/** Carries out a plan on both; with `failAt`, that put fails in the kernel and its change is given up. */
function carryOut(tables: KernelTables, kernel: NaiveKernel, { steps }: Pick<Plan, 'steps'>, failAt = -1): Set<number> {
  const failed = new Set<number>();
  for (const [at, { operation, change }] of steps.entries()) {
    if (failed.has(change)) continue;
    const pointedTo =
      operation.kind === 'put-slot' ? [operation.backend] : operation.kind === 'put-service' ? operation.inline : [];
    const lacksBackend = pointedTo.some((id) => !tables.backends.has(id));
    if (lacksBackend || (at === failAt && operation.kind.startsWith('put'))) {
      if (change >= 0) failed.add(change);
      continue;
    }
    kernel.perform(operation);
    tables.record(operation);
    kernel.check();
  }
  if (failed.size > 0) tables.retireStrays();
  return failed;
}

function sweep(tables: KernelTables, kernel: NaiveKernel): void {
  kernel.perform({ kind: 'grace' });
  tables.record({ kind: 'grace' });
  carryOut(tables, kernel, { steps: planSweep(tables) });
}

/** Runs the turns; returns what should be served in the end. */
function play(turns: readonly Turn[], limits: TableLimits, kernel: NaiveKernel, tables: KernelTables, failAt = -1) {
  const expected = new Map<string, FrontendRoute>();
  for (const [at, step] of turns.entries()) {
    if (step.kind === 'sweep') {
      if (step.waits) sweep(tables, kernel);
      else carryOut(tables, kernel, { steps: planSweep(tables) });
      continue;
    }
    const plan = planChanges(tables, step.set, step.remove);
    const lost = new Set(plan.failures.map((failure) => frontendId(failure.frontend)));
    kernel.allow(step.set);
    for (const change of carryOut(tables, kernel, plan, at === 1 ? failAt : -1)) {
      const given = plan.changes[change];
      if (given) lost.add(frontendId(given));
    }
    for (const wanted of step.set) {
      if (!lost.has(frontendId(wanted.frontend))) expected.set(frontendId(wanted.frontend), wanted);
    }
    for (const gone of step.remove) if (!lost.has(frontendId(gone))) expected.delete(frontendId(gone));
    kernel.settle();
    assert.ok(kernel.slots.size <= limits.slots && kernel.backends.size <= limits.backends);
  }
  return expected;
}

const served = (expected: ReadonlyMap<string, FrontendRoute>) =>
  new Map([...expected].map(([id, { backends }]) => [id, backends]));

describe('planChanges()', () => {
  it('keeps D1 and D2 after every step, and ends at what was desired', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), (turns) => {
        const [kernel, tables] = [new NaiveKernel(), new KernelTables(AMPLE)];
        const expected = play(turns, AMPLE, kernel, tables);
        assert.deepEqual(kernel.served(), served(expected));
      }),
      { numRuns: 200 },
    );
  });

  it('leaves nothing behind: after a sweep the maps hold what is served and no more', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), (turns) => {
        const [kernel, tables] = [new NaiveKernel(), new KernelTables(AMPLE)];
        const expected = play(turns, AMPLE, kernel, tables);
        sweep(tables, kernel);
        const all = [...expected.values()];
        assert.equal(
          kernel.slots.size,
          all.reduce((sum, { backends }) => sum + (backends.length > INLINE_BACKENDS ? backends.length : 0), 0),
        );
        assert.equal(kernel.backends.size, new Set(all.flatMap(({ backends }) => backends.map((b) => b.address))).size);
        assert.equal(tables.hasGarbage, false);
        assert.deepEqual([tables.slotCount, tables.backends.size], [kernel.slots.size, kernel.backends.size]);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps D1 and D2 when an operation fails, and serves the rest', () => {
    fc.assert(
      fc.property(fc.array(turn, { minLength: 2, maxLength: 6 }), fc.nat(30), (turns, failAt) => {
        const [kernel, tables] = [new NaiveKernel(), new KernelTables(AMPLE)];
        const expected = play(turns, AMPLE, kernel, tables, failAt);
        assert.deepEqual(kernel.served(), served(expected));
        sweep(tables, kernel);
        assert.equal(tables.hasGarbage, false);
      }),
      { numRuns: 200 },
    );
  });

  it('never fills a table beyond its limit: what does not fit stays as it was', () => {
    const tight = fc.record({
      services: fc.integer({ min: 1, max: 4 }),
      slots: fc.integer({ min: 0, max: 30 }),
      backends: fc.integer({ min: 1, max: 11 }),
      affinityOk: fc.integer({ min: 0, max: 12 }),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), tight, (turns, limits) => {
        const [kernel, tables] = [new NaiveKernel(), new KernelTables(limits)];
        const expected = play(turns, limits, kernel, tables);
        assert.deepEqual(kernel.served(), served(expected));
      }),
      { numRuns: 100 },
    );
  });

  it('does nothing when the kernel has what is desired', () => {
    fc.assert(
      fc.property(fc.uniqueArray(wish, { selector: (w) => w.frontend.address }), (set) => {
        const [kernel, tables] = [new NaiveKernel(), new KernelTables(AMPLE)];
        play([{ kind: 'change', set, remove: [] }], AMPLE, kernel, tables);
        assert.deepEqual(planChanges(tables, set).steps, []);
      }),
    );
  });

  it('says which table is too small', () => {
    const tables = new KernelTables({ ...AMPLE, slots: 1 });
    const backends = Array.from({ length: 8 }, (_, n) => backend(n + 1));
    const wanted = { frontend: frontend(1), backends, sessionAffinitySeconds: 0 };
    const [failure] = planChanges(tables, [wanted]).failures;
    assert.match(failure?.reason ?? '', /table "slots" is too small: .* 8 more entries: current value is 1 of 1/);
  });
});
