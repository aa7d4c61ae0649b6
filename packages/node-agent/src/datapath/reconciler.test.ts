import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { Backoff } from '@tombolo/shared/process/backoff.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { ChangeLog } from '../table/change-log.ts';
import type { ApplyReport } from './datapath.ts';
import { MemoryDatapath } from './memory.fixture.ts';
import { Reconciler, type ReconcilerTable } from './reconciler.ts';

const frontend = (n: number): Frontend => ({
  kind: 'ClusterIP',
  address: ip(`10.96.0.${n}`),
  port: 80,
  protocol: 'TCP',
});
const idOf = (n: number): string => frontendId(frontend(n));

/** The nth frontend, with this many backends. */
const route = (n: number, backends = 0): FrontendRoute => ({
  frontend: frontend(n),
  backends: Array.from({ length: backends }, (_, i) => ({ address: ip('10.1.0.1'), port: i + 1, clusterId: 1 })),
  sessionAffinitySeconds: 0,
});

class Table implements ReconcilerTable {
  readonly #log: ChangeLog<string, FrontendRoute>;
  readonly #listeners = new Set<() => void>();

  constructor(memory?: number) {
    this.#log = new ChangeLog(memory);
  }

  get revision(): number {
    return this.#log.revision;
  }

  get routes(): Routes {
    return this.#log.values;
  }

  routeChangesSince(revision: number) {
    return this.#log.changesSince(revision);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(...routes: readonly FrontendRoute[]): void {
    this.publish(new Map(routes.map((each) => [frontendId(each.frontend), each])));
  }

  remove(n: number): void {
    this.publish(new Map([[idOf(n), undefined]]));
  }

  publish(changes: RouteChanges): void {
    this.#log.publish(this.#log.revision + 1, changes);
    for (const listener of this.#listeners) listener();
  }
}

/** Tells of each piece that is applied before it is. What the listener throws is what the kernel answers. */
class Recorder extends MemoryDatapath {
  readonly pieces: (readonly string[])[] = [];
  beforePiece: (piece: number) => void = () => {};

  /** Why it takes nothing. */
  outage = '';

  override async replace(desired: Routes): Promise<ApplyReport> {
    const { outage } = this;
    this.beforeReplace();
    const report = await super.replace(outage === '' ? desired : new Map());
    if (outage !== '') throw new Error(outage);
    return report;
  }

  beforeReplace: () => void = () => {};

  /** Resolves when it is called next. */
  async called(what: 'apply' | 'replace'): Promise<void> {
    const count = (): number => this.calls.filter((call) => call === what).length;
    for (const before = count(); count() === before; ) await nextTurn();
  }

  override apply(changes: RouteChanges): Promise<ApplyReport> {
    this.pieces.push([...changes.keys()]);
    try {
      if (this.outage !== '') throw new Error(this.outage);
      this.beforePiece(this.pieces.length);
    } catch (error) {
      return Promise.reject(error);
    }
    return super.apply(changes);
  }
}

interface Parts {
  readonly table: Table;
  readonly datapath: Recorder;
}

interface Running extends Parts {
  readonly health: () => Health | undefined;
  /** Each revision that was told as applied. */
  readonly applied: readonly number[];
  readonly reached: (revision: number) => Promise<void>;
  readonly failed: () => Promise<void>;
  readonly well: () => Promise<void>;
  /** Reasons that were logged. */
  readonly logged: readonly unknown[];
}

/** A reconciler over a table and a memory datapath, stopped after the test body. */
async function withReconciler(
  body: (running: Running) => Promise<void>,
  prepare: (parts: Parts) => void = () => {},
  table = new Table(),
): Promise<void> {
  const datapath = new Recorder();
  prepare({ table, datapath });
  let health: Health | undefined;
  const applied: number[] = [];
  const logged: unknown[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: ({ reason, more }) => void logged.push(reason ?? more),
    error: ({ error }) => void logged.push(error instanceof Error ? error.message : error),
  };
  let waiting: (() => void)[] = [];
  const tell = (): void => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const retry: Backoff = { delay: 1, next: () => retry };
  const reconciler = new Reconciler({
    table,
    datapath,
    log,
    retry,
    report: (reported) => {
      health = reported;
      tell();
    },
    applied: (revision) => {
      applied.push(revision);
      tell();
    },
  });
  const stop = new AbortController();
  const running = reconciler.run(stop.signal);
  try {
    await body({
      table,
      datapath,
      health: () => health,
      applied,
      logged,
      reached: (revision) => until(() => (applied.at(-1) ?? -1) >= revision),
      failed: () => until(() => health?.kind === 'degraded'),
      well: () => until(() => health?.kind === 'ok'),
    });
  } finally {
    stop.abort();
    await running;
  }
}

describe('Reconciler', () => {
  it('sets the whole table first and applies changes after', () =>
    withReconciler(
      async ({ table, datapath, reached, health }) => {
        await reached(1);
        table.set(route(2));
        await reached(2);
        table.remove(1);
        await reached(3);
        assert.deepEqual(datapath.calls, ['replace', 'apply', 'apply']);
        assert.deepEqual(
          [...datapath.kernel.routes.values()].map(({ frontend }) => frontend.address),
          ['10.96.0.2'],
        );
        assert.deepEqual(health(), { kind: 'ok' });
      },
      ({ table }) => table.set(route(1)),
    ));

  it('reports a frontend that fails, goes on with the others, and repairs it later', () =>
    withReconciler(
      async ({ table, datapath, failed, reached, well }) => {
        await failed();
        table.set(route(2));
        await reached(2);
        datapath.heal(frontend(1));
        await well();
        assert.equal(datapath.kernel.routes.size, 2);
      },
      ({ table, datapath }) => {
        datapath.fail(frontend(1), 'map is full');
        table.set(route(1));
      },
    ));

  it('logs once what cannot be programmed, and of much the first, however often it is tried', () =>
    withReconciler(
      async ({ table, datapath, logged, failed, well }) => {
        await failed();
        for (let n = 1; n <= 5; n++) await datapath.called('replace');
        assert.deepEqual(logged, ['full', 'full', 'full', 'full', 'full', 2]);
        datapath.fail(frontend(1), 'too many');
        await datapath.called('replace');
        await datapath.called('replace');
        assert.deepEqual(logged.slice(6), ['too many']);
        for (let n = 1; n <= 7; n++) datapath.heal(frontend(n));
        await well();
        datapath.fail(frontend(1), 'too many');
        table.set(route(1, 1));
        await failed();
        assert.deepEqual(logged.slice(7), ['too many']);
      },
      ({ table, datapath }) => {
        for (let n = 1; n <= 7; n++) {
          datapath.fail(frontend(n), 'full');
          table.set(route(n));
        }
      },
    ));

  it('logs of five that cannot be programmed each, and no more', () =>
    withReconciler(
      async ({ logged, failed }) => {
        await failed();
        assert.deepEqual(logged, ['full', 'full', 'full', 'full', 'full']);
      },
      ({ table, datapath }) => {
        for (let n = 1; n <= 5; n++) {
          datapath.fail(frontend(n), 'full');
          table.set(route(n));
        }
      },
    ));

  it('repairs when its time has come, which neither changes nor their failures put off', async () => {
    const clock = new FakeClock();
    const [table, datapath, stop] = [new Table(), new Recorder(), new AbortController()];
    const retry: Backoff = { delay: 1_000, next: () => retry };
    datapath.fail(frontend(1), 'full');
    datapath.fail(frontend(2), 'full');
    table.set(route(1));
    const reports: Health['kind'][] = [];
    const report = ({ kind }: Health): void => void reports.push(kind);
    const running = new Reconciler({ table, datapath, log: silentLogger, retry, report, clock }).run(stop.signal);
    const callsAfter = async (ms: number): Promise<string> => {
      const { length } = datapath.calls;
      await clock.advance(ms);
      return datapath.calls.slice(length).join(' ');
    };
    assert.deepEqual(datapath.calls, ['replace']);
    assert.equal(await callsAfter(500), '');
    table.set(route(2), route(3));
    assert.equal(await callsAfter(0), 'apply');
    assert.equal(await callsAfter(499), '');
    assert.deepEqual(reports, ['degraded', 'degraded']);
    datapath.heal(frontend(1));
    datapath.heal(frontend(2));
    assert.equal(await callsAfter(1), 'replace');
    assert.equal(reports.at(-1), 'ok');
    assert.doesNotMatch(await callsAfter(10_000), /replace/);
    stop.abort();
    await running;
  });

  describe('beside others who change the kernel', () => {
    const clock = new FakeClock();
    const reports: Health[] = [];
    const warnings: unknown[] = [];
    const log: Logger = { ...silentLogger, warn: ({ damage, reason }) => void warnings.push(damage ?? reason) };
    let damages = 0;
    let cpu = 0;
    let datapath: Recorder;
    let table: Table;
    let stop: AbortController;
    let running: Promise<void>;

    beforeEach(() => {
      [datapath, table, stop] = [new Recorder(), new Table(), new AbortController()];
      table.set(route(1));
    });
    afterEach(async () => {
      stop.abort();
      await running;
      for (const list of [reports, warnings]) list.length = 0;
      damages = 0;
    });

    let reconciler: Reconciler;
    const start = (retry: Backoff = { delay: 30_000, next: () => retry }): Promise<void> => {
      const report = (health: Health): void => void reports.push(health);
      const damaged = (): void => void damages++;
      reconciler = new Reconciler({ table, datapath, log, retry, report, damaged, clock, cpu: () => cpu });
      running = reconciler.run(stop.signal);
      return clock.advance(0);
    };
    const callsAfter = async (ms: number): Promise<string> => {
      const { length } = datapath.calls;
      await clock.advance(ms);
      return datapath.calls.slice(length).join(' ');
    };

    it('looks every 2 s, and sets right at once what is not as it was', async () => {
      await start();
      assert.equal(await callsAfter(1_999), '');
      assert.equal(await callsAfter(1), 'verify');
      assert.equal(await callsAfter(2_000), 'verify');
      assert.deepEqual([damages, reports], [0, [{ kind: 'ok' }]]);
      datapath.damage = 'a rule is gone';
      assert.equal(await callsAfter(2_000), 'verify replace');
      await clock.advance(0);
      assert.deepEqual(reports.slice(1), [
        { kind: 'degraded', reason: 'somebody else changed what was programmed: a rule is gone' },
        { kind: 'ok' },
      ]);
      assert.deepEqual([damages, warnings], [1, ['a rule is gone']]);
      assert.equal(await callsAfter(2_000), 'verify');
    });

    it('tells which programs of others run before the datapath, when they are others than before', async () => {
      const told: (readonly string[])[] = [];
      let programs: readonly string[] = [];
      Object.assign(datapath, { foreign: () => programs });
      const foreign = (all: readonly string[]): void => void told.push(all);
      const report = (health: Health): void => void reports.push(health);
      const options = { table, datapath, log, report, foreign, clock, cpu: () => cpu };
      running = new Reconciler(options).run(stop.signal);
      await clock.advance(2_000);
      programs = ['connect4: other'];
      await clock.advance(4_000);
      programs = [];
      await clock.advance(4_000);
      Reflect.deleteProperty(datapath, 'foreign');
      assert.deepEqual(told, [['connect4: other'], []]);
    });

    it('has what is new of the node taken up at once, and now and then, with the whole table where that is needed', async () => {
      await start();
      reconciler.nodeChanged();
      assert.equal(await callsAfter(0), '');
      assert.equal(datapath.refreshes, 1);
      datapath.wantsTable = true;
      reconciler.nodeChanged();
      assert.equal(await callsAfter(0), 'replace');
      assert.equal(await callsAfter(2_000), 'verify');
      assert.equal(datapath.refreshes, 3);
    });

    it('looks though changes never stop coming', async () => {
      await start();
      for (let change = 0; change < 30; change++) {
        table.set(route(2, 1 + (change % 2)));
        await clock.advance(100);
      }
      assert.equal(datapath.calls.filter((call) => call === 'verify').length, 1);
      assert.equal(datapath.calls.filter((call) => call === 'apply').length, 30);
    });

    it('does not look before the whole table is set', async () => {
      datapath.outage = 'no memory';
      await start();
      assert.equal(await callsAfter(29_999), '');
    });

    it('looks the more rarely the more CPU looking takes, and each minute at least', async () => {
      let takes = 40;
      datapath.verify = () => {
        datapath.calls.push('verify');
        cpu += takes;
        return Promise.resolve(undefined);
      };
      await start();
      assert.equal(await callsAfter(2_000), 'verify');
      assert.equal(await callsAfter(3_999), '');
      takes = 4_000;
      assert.equal(await callsAfter(1), 'verify');
      assert.equal(await callsAfter(59_999), '');
      assert.equal(await callsAfter(1), 'verify');
    });

    it('goes on when it cannot see, and says so once', async () => {
      datapath.verify = () => Promise.reject(new Error('permission denied'));
      await start();
      await clock.advance(8_000);
      assert.deepEqual([damages, warnings], [0, ['permission denied']]);
      assert.deepEqual(datapath.calls, ['replace']);
    });
  });

  it('tells of nothing before the whole table is set', () => {
    let told: readonly number[] = [];
    let before: number | undefined;
    return withReconciler(
      async ({ applied, reached }) => {
        told = applied;
        await reached(1);
        assert.equal(before, 0);
      },
      ({ table, datapath }) => {
        table.publish(new Map());
        datapath.beforeReplace = () => {
          before = told.length;
        };
      },
    );
  });

  it('fills a piece to its limit, and begins the next with what is small', () =>
    withReconciler(async ({ table, datapath, reached }) => {
      await reached(0);
      table.set(route(1, 3_000), route(2, 1_000));
      await reached(1);
      table.set(route(3, 5_000), route(4, 1));
      await reached(2);
      assert.deepEqual(datapath.pieces, [[idOf(1), idOf(2)], [idOf(4)], [idOf(3)]]);
    }));

  it('logs once why the kernel takes nothing, though much changes meanwhile', () =>
    withReconciler(async ({ table, datapath, logged, reached }) => {
      await reached(0);
      datapath.outage = 'no memory';
      for (let n = 1; n <= 4; n++) {
        table.set(route(n));
        await datapath.called('replace');
      }
      datapath.outage = '';
      await reached(4);
      assert.deepEqual(logged, ['no memory']);
    }));

  it('tells of a revision that changes no route, too', () =>
    withReconciler(async ({ table, datapath, reached }) => {
      await reached(0);
      table.publish(new Map());
      await reached(1);
      assert.deepEqual(datapath.calls, ['replace']);
    }));

  it('applies much in pieces, small frontends before large ones, and tells when all is in the kernel', () =>
    withReconciler(async ({ table, datapath, applied, reached }) => {
      await reached(0);
      table.set(route(1, 3_000), route(2, 3_000), route(3, 5_000), route(4, 1), route(5, 100));
      await reached(1);
      assert.deepEqual(datapath.pieces, [[idOf(4), idOf(5), idOf(1)], [idOf(2)], [idOf(3)]]);
      assert.deepEqual(applied, [0, 1]);
      assert.equal(datapath.kernel.routes.get(idOf(3))?.backends.length, 5_000);
    }));

  it('takes up a change that comes while much is pending before what is large', () =>
    withReconciler(async ({ table, datapath, applied, reached }) => {
      await reached(0);
      datapath.beforePiece = (piece) => {
        if (piece === 2) table.set(route(9, 1), route(4, 2));
      };
      table.set(route(1, 5_000), route(2, 5_000), route(3, 5_000), route(4, 5_000));
      await reached(2);
      assert.deepEqual(datapath.pieces, [[idOf(1)], [idOf(2)], [idOf(4), idOf(9)], [idOf(3)]]);
      assert.equal(datapath.kernel.routes.get(idOf(4))?.backends.length, 2);
      assert.deepEqual(applied, [0, 2]);
    }));

  it('applies a large frontend though small ones never stop coming', () =>
    withReconciler(async ({ table, datapath, reached }) => {
      await reached(0);
      let left = 20;
      datapath.beforePiece = () => {
        if (datapath.kernel.routes.has(idOf(1)) || left-- === 0) return;
        table.set(route(2, 1 + (left % 2)));
      };
      table.set(route(1, 5_000), route(2, 1));
      await reached(1);
      assert.ok(left > 15, `${left} left: ${JSON.stringify(datapath.pieces)}`);
    }));

  it('does not tell of a revision of which a piece is lost, until the whole table was set again', () =>
    withReconciler(async ({ table, datapath, applied, reached, health }) => {
      await reached(0);
      datapath.beforePiece = (piece) => {
        assert.equal(applied.length, 1);
        if (piece === 1) throw new Error('the kernel is busy');
      };
      table.set(route(1, 5_000), route(2, 1));
      await reached(1);
      assert.equal(datapath.calls.at(-1), 'replace');
      assert.deepEqual([...datapath.kernel.routes.keys()].sort(), [idOf(1), idOf(2)]);
      assert.deepEqual(health(), { kind: 'ok' });
    }));

  it('sets the whole table when the table no longer knows what changed', () =>
    withReconciler(
      async ({ table, datapath, reached }) => {
        await reached(0);
        table.set(route(1), route(2));
        await reached(1);
        assert.deepEqual(datapath.calls, ['replace', 'replace']);
        assert.equal(datapath.kernel.routes.size, 2);
      },
      undefined,
      new Table(1),
    ));

  it('forgets what was pending when it sets the whole table, which may have it no more', () =>
    withReconciler(
      async ({ table, datapath, reached }) => {
        await reached(0);
        datapath.beforePiece = (piece) => {
          if (piece > 1) return;
          table.remove(3);
          for (let count = 1; count <= 6; count++) table.set(route(9, count));
        };
        table.set(route(1, 5_000), route(2, 5_000), route(3, 5_000));
        await reached(8);
        assert.deepEqual(datapath.calls, ['replace', 'apply', 'replace']);
        assert.deepEqual([...datapath.kernel.routes.keys()].sort(), [idOf(1), idOf(2), idOf(9)]);
      },
      undefined,
      new Table(5),
    ));

  it('stops while it waits, and leaves the kernel as it is', async () => {
    let kernel = 0;
    await withReconciler(
      async ({ datapath, reached }) => {
        await reached(1);
        kernel = datapath.kernel.routes.size;
      },
      ({ table }) => table.set(route(1)),
    );
    assert.equal(kernel, 1);
  });
});
